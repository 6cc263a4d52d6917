"""The command line of dev.py. Standard library only: it is read before anything is installed."""

from __future__ import annotations

import argparse
from pathlib import Path

POWER_BI = "http://127.0.0.1:7072"
CLOUDS = ("public", "gcc", "gcchigh", "dod", "china")
FAULT_LEVELS = ("none", "light", "heavy")
SEEDS = 1000
BENCH_HELP = (
    "devhost: orchestrations a second; queue: many callers at once for one model; "
    "polling: calls and lateness of the poll plan"
)

EXAMPLES = """\
examples:
  python3 dev.py run                         see it work: four callers, one of them late, one model that fails
  python3 dev.py test                        everything that must be right before a commit
  python3 dev.py test --fast                 the same with the unit tests only
  python3 dev.py test -- -k queue -x          arguments after -- go to pytest
  python3 dev.py simulate --seeds 5000       days of a simulated world with every fault, each from its seed
  python3 dev.py simulate --seed 46          one of those days, with its whole timeline
  python3 dev.py openapi                     the description of the API in integrations/, after a change of it
  python3 dev.py bench queue                  what 1, 10, 50 and 200 callers at once for one model cost
  python3 dev.py power-bi                    a Power BI to play with, on http://127.0.0.1:7072
  python3 dev.py host                        the app on http://127.0.0.1:7071, talking to that Power BI
  python3 dev.py host --app ../other --port 7080 --power-bi http://127.0.0.1:9000 --state /tmp/other
  python3 dev.py run --workspace GUID --dataset GUID       one refresh of a real model, with your own login
"""


def parse(arguments: list[str]) -> argparse.Namespace:
    """What is to be done. Exits with 2 and a sentence for a command or an argument that is not known."""
    # argparse drops the `--` and mixes what follows with what precedes
    arguments, after = split(arguments)
    parser = _parser()
    options, others = parser.parse_known_args(arguments)
    passes_on = options.command in ("power-bi", "bench")
    if others and not passes_on:
        parser.error(f"{options.command} does not know {' '.join(others)}; see dev.py {options.command} --help")
    if after and options.command != "test" and not passes_on:
        parser.error(f"{options.command} takes nothing after --")
    options.more = [*others, *after]
    if options.command == "run" and bool(options.workspace) != bool(options.dataset):
        parser.error("run takes --workspace and --dataset together, or neither")
    if options.command == "simulate":
        if options.seed is not None and (options.seeds, options.first, options.jobs) != (None, None, None):
            parser.error("simulate takes --seed for one day, or --seeds, --from and --jobs for many")
        options.seeds, options.first = options.seeds or SEEDS, options.first or 0
    return options


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after the first `--`."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def run(options: argparse.Namespace) -> int:
    """Does it; returns the exit code. The imports wait until here because they need the installed environment."""
    match options.command:
        case "test":
            from dev import checks

            return checks.run(fast=options.fast, pytest_arguments=options.more)
        case "simulate":
            from dev import simulate

            return simulate.run(options)
        case "openapi":
            from dev import openapi

            return openapi.run()
        case "host":
            from dev import servers

            return servers.host(servers.HostOptions.of(options))
        case "power-bi":
            from dev import servers

            return servers.power_bi(options.more)
        case "integrations":
            from dev.integrations import files

            return files.run(check=options.check)
        case "bench":
            from dev import servers

            return servers.bench(options.what, options.more)
        case _:
            from dev import demo

            return demo.run(options.workspace, options.dataset, options.cloud)


def _parser() -> argparse.ArgumentParser:
    plain = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Works on this project. The environment it needs (.venv) is made on the first run.",
        epilog=EXAMPLES,
        formatter_class=plain,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    a_run = commands.add_parser(
        "run",
        allow_abbrev=False,
        help="see it work, against a Power BI on this machine or the real one",
        description="Starts a Power BI service and the app on this machine, sends callers and shows what they are "
        "told. With --workspace and --dataset: one caller, and the real Power BI with your own Azure login (az login).",
    )
    a_run.add_argument("--workspace", metavar="GUID", help="workspace of a real model")
    a_run.add_argument("--dataset", metavar="GUID", help="the real model")
    a_run.add_argument("--cloud", choices=CLOUDS, default="public", help="the cloud it lives in (default public)")

    a_test = commands.add_parser(
        "test",
        allow_abbrev=False,
        help="format, lint, types, import rules, tests",
        description="Runs the checks, all of them even if one fails; exit code 1 if any failed. "
        "Arguments after -- go to pytest.",
    )
    a_test.add_argument("--fast", action="store_true", help="of the tests only tests/unit")

    a_simulation = commands.add_parser(
        "simulate",
        allow_abbrev=False,
        help="days of a simulated world, in virtual time, with faults from a seed",
        description="Plays days of the real app in virtual time. A seed decides who asks for what and when, and what "
        "goes wrong; the same seed plays the same day again. Exit code 1, with the story of the smallest seed that "
        "failed, if the app breaks a promise.",
    )
    a_simulation.add_argument("--seeds", type=_count, metavar="N", help=f"how many days (default {SEEDS})")
    a_simulation.add_argument("--from", type=_seed, metavar="N", dest="first", help="the first seed (default 0)")
    a_simulation.add_argument("--jobs", type=_count, metavar="N", help="processes (default: one for each core)")
    a_simulation.add_argument("--seed", type=_seed, metavar="N", help="this one day only, with its whole timeline")
    a_simulation.add_argument(
        "--faults", choices=FAULT_LEVELS, help="how bad the days are (default: each seed decides for itself)"
    )

    commands.add_parser(
        "openapi",
        allow_abbrev=False,
        help="write the description of the API",
        description="Writes integrations/openapi.yaml and integrations/custom-connector.swagger.json from the "
        "description that the app serves at /api/openapi.json. A test fails when they are not up to date.",
    )

    a_host = commands.add_parser(
        "host",
        allow_abbrev=False,
        help="the app, on a local Functions host",
        description="Runs an app of the Azure Functions Python v2 model until Ctrl-C. App settings come from the "
        "environment first, then from local.settings.json.",
    )
    a_host.add_argument("--app", type=Path, metavar="DIR", help="another app than this project")
    a_host.add_argument("--port", type=int, default=7071, help="on 127.0.0.1 (default 7071); 0 takes a free one")
    a_host.add_argument(
        "--power-bi",
        metavar="URL",
        help=f"sets POWER_BI_API_URL (default {POWER_BI}, unless POWER_BI_API_URL or POWER_BI_CLOUD is set)",
    )
    a_host.add_argument("--state", type=Path, metavar="PATH", help="directory kept between runs (default .dev/host)")
    a_host.add_argument("--key", metavar="CODE", help="key of the Durable management API")
    a_host.add_argument("--keys", action="store_true", help="check function keys as Azure does")
    a_host.add_argument("--exact-timers", action="store_true", help="do not cut timers to whole seconds")

    commands.add_parser(
        "power-bi",
        add_help=False,  # the service has a help of its own
        help="a Power BI service for development; arguments go to dev.power_bi",
    )
    some_files = commands.add_parser(
        "integrations",
        allow_abbrev=False,
        help="writes the files for Data Factory and Synapse in integrations/",
        description="Writes the pipelines, ARM templates and template zips in integrations/adf and synapse from "
        "dev/integrations/pipelines.py.",
    )
    some_files.add_argument("--check", action="store_true", help="only look; exit code 1 if any is not up to date")
    a_bench = commands.add_parser("bench", allow_abbrev=False, help="how fast something is; further arguments go to it")
    a_bench.add_argument("what", choices=["devhost", "queue", "polling"], help=BENCH_HELP)
    return parser


def _count(text: str) -> int:
    """A whole number, at least 1."""
    return _whole(text, 1)


def _seed(text: str) -> int:
    """A whole number, at least 0."""
    return _whole(text, 0)


def _whole(text: str, least: int) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < least:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number from {least} on")
    return int(text)
