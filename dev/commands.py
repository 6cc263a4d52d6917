"""The command line of dev.py. Standard library only: it is parsed before anything is installed."""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

from dev import servers
from dev.environment import ROOT

CLOUDS = ("public", "gcc", "gcchigh", "dod", "china")
FAULT_LEVELS = ("none", "light", "heavy")
SEEDS = 1000
BENCHES = ("devhost", "queue", "callers", "polling", "models", "batch")
BENCH_HELP = (
    "devhost: orchestrations per second; queue: each operation of a queue; callers: many simultaneous callers of one "
    "model; "
    "polling: calls to Power BI and delay of the outcome; models: the list of models with many ended requests; "
    "batch: cost and wall time of many models"
)
PASSES_ARGUMENTS_ON = ("power-bi", "bench")

EXAMPLES = """\
examples:
  python3 dev.py run                         a demo: five callers, two models, one failing refresh
  python3 dev.py run --stay                  the demo, then models in every state for the page, until Ctrl-C
  python3 dev.py test                        all checks that must pass before a commit
  python3 dev.py test --fast                 these checks, but only the tests in tests/unit
  python3 dev.py test -- -k queue -x         arguments after -- are passed to pytest
  python3 dev.py simulate --seeds 5000       simulated days with faults, each determined by its seed
  python3 dev.py simulate --seed 19          one simulated day and what happened in it
  python3 dev.py screenshots                 take the pictures of the page in docs/pictures again; needs Chromium
  python3 dev.py integrations                write the files in integrations/ again, after a change to their sources
  python3 dev.py bench callers               the cost of 1, 10, 50 and 200 simultaneous callers of one model
  python3 dev.py smoke --url https://APP.azurewebsites.net   check a deployed app: access, health, a model
  python3 dev.py power-bi                    a Power BI service for development on http://127.0.0.1:7072
  python3 dev.py host                        the app on http://127.0.0.1:7071, connected to that service
  python3 dev.py host --app ../other --port 7080 --power-bi http://127.0.0.1:9000 --state /tmp/other
  python3 dev.py run --workspace GUID --dataset GUID       one refresh of a real model, with your own login
"""


SECRETS = ("--key", "--token")
"""Options with generated values, which may begin with any character."""


def parse(arguments: list[str]) -> argparse.Namespace:
    """The parsed command. Exits with code 2 and a message if a command or an argument is unknown."""
    # argparse would drop the `--` and mix the arguments before and after it
    arguments, after = split(arguments)
    parser = _parser()
    options, others = parser.parse_known_args(joined(arguments))
    passes_on = options.command in PASSES_ARGUMENTS_ON
    if others and not passes_on:
        parser.error(f"unknown argument of {options.command}: {' '.join(others)}; see dev.py {options.command} --help")
    if after and options.command != "test" and not passes_on:
        parser.error(f"{options.command} takes no arguments after --")
    options.more = [*others, *after]
    if options.command == "run" and bool(options.workspace) != bool(options.dataset):
        parser.error("run takes --workspace and --dataset together, or neither")
    if options.command == "run" and options.stay and options.workspace:
        parser.error("run takes --stay only without --workspace and --dataset")
    if options.command == "simulate":
        if options.seed is not None and (options.seeds, options.first, options.jobs) != (None, None, None):
            parser.error("simulate takes either --seed (one day) or --seeds, --from and --jobs (many days)")
        if options.log and options.seed is None:
            parser.error("simulate takes --log only with --seed")
        options.seeds, options.first = options.seeds or SEEDS, options.first or 0
    return options


def split(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments before and after the first `--`."""
    if "--" not in arguments:
        return arguments, []
    at = arguments.index("--")
    return arguments[:at], arguments[at + 1 :]


def joined(arguments: list[str]) -> list[str]:
    """Writes `--key -x` as `--key=-x`: one key in 64 begins with a hyphen, and argparse would take such a key
    for an option."""
    found: list[str] = []
    for argument in arguments:
        if found and found[-1] in SECRETS:
            found[-1] += f"={argument}"
        else:
            found.append(argument)
    return found


def run(options: argparse.Namespace) -> int:
    """Runs the command and returns its exit code. Imports are local because they need the installed environment."""
    match options.command:
        case "test":
            from dev import checks

            return checks.run(fast=options.fast, pytest_arguments=options.more)
        case "simulate":
            from dev.simulate import command as simulate

            return simulate.run(options)
        case "integrations":
            from dev.integrations import command as integrations

            return integrations.run(check=options.check)
        case "bench":
            return _bench(options.what, options.more)
        case "smoke":
            from dev import smoke

            return smoke.run(options)
        case "screenshots":
            return _module("tests.browser.screenshots")
        case "host":
            return servers.host(servers.HostOptions.of(options))
        case "power-bi":
            return servers.power_bi(options.more)
        case _:
            from dev.demo import story

            return story.run(options.workspace, options.dataset, options.cloud, stays=options.stay)


def _module(name: str) -> int:
    """Runs a module of the tests, which the development tools do not import."""
    return subprocess.run([sys.executable, "-m", name], cwd=ROOT, check=False).returncode


def _bench(what: str, arguments: list[str]) -> int:
    match what:
        case "polling":
            from dev.bench import polling

            return polling.main(arguments)
        case "callers":
            from dev.bench import callers

            return callers.main(arguments)
        case "batch":
            from dev.bench import batch

            return batch.main(arguments)
        case "models":
            from dev.bench import models

            return models.main(arguments)
        case "queue":
            from dev.bench import queue

            return queue.main(arguments)
        case _:
            return servers.devhost_bench(arguments)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="dev.py",
        description="Commands for working on this project. The first run creates the environment they need (.venv).",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    _add_run(commands)
    _add_test(commands)
    _add_simulate(commands)
    _add_servers(commands)
    _add_smoke(commands)
    _add_others(commands)
    return parser


def _add_run(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    run_command = commands.add_parser(
        "run",
        allow_abbrev=False,
        help="a demo against a Power BI service on this machine, or one refresh of a real model",
        description="Starts a Power BI service and the app on this machine, runs callers and shows the outcome that "
        "each receives. With --workspace and --dataset: one caller, and the real Power BI with your own Azure login "
        "(az login).",
    )
    run_command.add_argument(
        "--stay", action="store_true", help="keep the demo running, with more models for the page, until Ctrl-C"
    )
    run_command.add_argument("--workspace", metavar="GUID", help="workspace of a real model")
    run_command.add_argument("--dataset", metavar="GUID", help="the real model")
    run_command.add_argument("--cloud", choices=CLOUDS, default="public", help="cloud of the tenant (default public)")


def _add_test(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    test_command = commands.add_parser(
        "test",
        allow_abbrev=False,
        help="format, lint, import rules, types, tests",
        description="Runs all checks, even after one has failed: ruff format, ruff check, lint-imports, mypy, pytest. "
        "The exit code is 1 if any failed. Arguments after -- are passed to pytest.",
    )
    test_command.add_argument(
        "--fast",
        action="store_true",
        help="run all checks, but only the tests in tests/unit: not the simulation, and not the tests over HTTP, "
        "of the callers' files, of the devhost, of the Power BI service and of these commands",
    )


def _add_simulate(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    simulate_command = commands.add_parser(
        "simulate",
        allow_abbrev=False,
        help="simulated days of the app in virtual time, with faults determined by a seed",
        description="Runs the real app through simulated days in virtual time. A seed determines the requests and the "
        "faults of a day, so a seed always gives the same day. If the app violates an invariant, the exit code is 1 "
        "and the timeline of the smallest failing seed is shown.",
    )
    simulate_command.add_argument("--seeds", type=_count, metavar="N", help=f"number of days (default {SEEDS})")
    simulate_command.add_argument("--from", type=_seed, metavar="N", dest="first", help="the first seed (default 0)")
    simulate_command.add_argument("--jobs", type=_count, metavar="N", help="number of processes (default: all cores)")
    simulate_command.add_argument("--seed", type=_seed, metavar="N", help="only this day, with its whole timeline")
    simulate_command.add_argument(
        "--log", action="store_true", help="with --seed: the log lines of the app with all ids, instead of sentences"
    )
    simulate_command.add_argument(
        "--faults", choices=FAULT_LEVELS, help="fault level of the days (default: determined by each seed)"
    )


def _add_servers(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    host_command = commands.add_parser(
        "host",
        allow_abbrev=False,
        help="the app on a local Functions host",
        description="Runs an app of the Azure Functions Python v2 model until Ctrl-C. App settings are taken from the "
        f"environment first, then from {servers.SETTINGS}, which is created from {servers.SAMPLE} if it is missing.",
    )
    host_command.add_argument("--app", type=Path, metavar="DIR", help="folder of the app (default: this project)")
    host_command.add_argument("--port", type=int, default=7071, help="on 127.0.0.1 (default 7071); 0: any free port")
    host_command.add_argument(
        "--power-bi",
        metavar="URL",
        help=f"sets POWER_BI_API_URL (default {servers.POWER_BI}, unless POWER_BI_API_URL or POWER_BI_CLOUD is set)",
    )
    host_command.add_argument(
        "--state", type=Path, metavar="PATH", help="folder for the state kept between runs (default .dev/host)"
    )
    host_command.add_argument("--key", metavar="CODE", help="key of the Durable management API")
    host_command.add_argument("--keys", action="store_true", help="check function keys as Azure does")
    host_command.add_argument(
        "--exact-timers", action="store_true", help="keep exact timers (default: cut to whole seconds)"
    )
    commands.add_parser(
        "power-bi",
        add_help=False,  # the service has its own --help
        help="a Power BI service for development; arguments are passed to it",
    )


def _add_others(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    integrations_command = commands.add_parser(
        "integrations",
        allow_abbrev=False,
        help="write the generated files in integrations/",
        description="Writes the files that callers import: pipelines for Data Factory and Synapse, workflows for Logic "
        "Apps, the OpenAPI description and the custom connector. Their sources are in dev/integrations and "
        "triggers/openapi.",
    )
    integrations_command.add_argument(
        "--check", action="store_true", help="write nothing; exit code 1 if a file is out of date"
    )
    commands.add_parser(
        "screenshots",
        allow_abbrev=False,
        help="take the pictures of the page in docs/pictures again",
        description="Writes docs/pictures: the page of the app in a headless Chromium, with recorded answers.",
    )
    bench_command = commands.add_parser(
        "bench", allow_abbrev=False, help="run a measurement; further arguments are passed to it"
    )
    bench_command.add_argument("what", choices=BENCHES, help=BENCH_HELP)


def _add_smoke(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    smoke_command = commands.add_parser(
        "smoke",
        allow_abbrev=False,
        help="checks of a deployed app; starts nothing",
        description="Checks that a start without credentials is refused, that /api/health reports no problem and, "
        "with a model and the credentials of a caller, that the app can read the history of that model. The exit code "
        "is 1 if a check fails.",
    )
    smoke_command.add_argument("--url", required=True, help="address of the app, without /api")
    smoke_command.add_argument("--workspace", help="id of a workspace")
    smoke_command.add_argument("--dataset", help="id of a semantic model in it")
    smoke_command.add_argument("--key", help="function key of a caller")
    smoke_command.add_argument("--token", help="token of a caller (default: a token of `az`, if AUDIENCE is set)")


def _count(text: str) -> int:
    """A whole number, at least 1."""
    return _whole(text, 1)


def _seed(text: str) -> int:
    """A whole number, at least 0."""
    return _whole(text, 0)


def _whole(text: str, minimum: int) -> int:
    if not text.isascii() or not text.isdecimal() or int(text) < minimum:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number of at least {minimum}")
    return int(text)
