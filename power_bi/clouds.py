"""The addresses of Power BI, one row for each cloud, from Microsoft's tutorial for national clouds."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class Cloud:
    """A cloud's API address, the scope of its tokens, and its sign-in host."""

    api_url: str
    scope: str
    authority: str


CLOUDS: Mapping[str, Cloud] = {
    "public": Cloud(
        "https://api.powerbi.com",
        "https://analysis.windows.net/powerbi/api/.default",
        "login.microsoftonline.com",
    ),
    "gcc": Cloud(
        "https://api.powerbigov.us",
        "https://analysis.usgovcloudapi.net/powerbi/api/.default",
        "login.microsoftonline.com",
    ),
    "gcchigh": Cloud(
        "https://api.high.powerbigov.us",
        "https://high.analysis.usgovcloudapi.net/powerbi/api/.default",
        "login.microsoftonline.us",
    ),
    "dod": Cloud(
        "https://api.mil.powerbigov.us",
        "https://mil.analysis.usgovcloudapi.net/powerbi/api/.default",
        "login.microsoftonline.us",
    ),
    "china": Cloud(
        "https://api.powerbi.cn",
        "https://analysis.chinacloudapi.cn/powerbi/api/.default",
        "login.chinacloudapi.cn",
    ),
}
