"""An app that logs from all kinds of threads and tasks, to find out which lines the platform keeps."""

import asyncio
import logging
import threading

import azure.functions as func

from outbound.pools import Pool

app = func.FunctionApp()
log = logging.getLogger("refresh")
pool = Pool("probe", threads=2, for_each_key=2, waiting=10)


def work(where: str) -> None:
    """Logs on the calling thread."""
    log.warning(where)


@app.route(route="loop")
async def on_the_loop(req: func.HttpRequest) -> func.HttpResponse:
    """Logs from the function's own task, from a task that it creates, from the loop's executor, a thread, and our
    pool."""
    work("own task")
    await asyncio.create_task(child())
    await asyncio.to_thread(work, "to_thread")
    await asyncio.get_running_loop().run_in_executor(None, work, "executor")
    thread = threading.Thread(target=work, args=("thread",))
    thread.start()
    thread.join()
    await pool.run(work, "pool", key="k", seconds=60)
    return func.HttpResponse("ok")


async def child() -> None:
    """Logs in its own task."""
    work("child task")


@app.route(route="thread")
def on_a_thread(req: func.HttpRequest) -> func.HttpResponse:
    """Logs from a function that is not async."""
    work("sync function")
    return func.HttpResponse(threading.current_thread().name)
