"""Where tasks run: a dask client of processes on this machine, of a scheduler that is running, or of a batch system."""

import logging
import os
import signal
from collections.abc import Collection, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing import resource_tracker
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from otbench.errors import InputError, ResultsError
from otbench.experiment.plugin import Plugin
from otbench.experiment.run.answer import own_version
from otbench.experiment.run.lease import own_judgement
from otbench.experiment.run.workers import first_line, threads
from otbench.files import read_toml
from otbench.methods.training.device import check_device
from otbench.spec import Spec

if TYPE_CHECKING:
    from distributed import Client

#: Settings whose reasons were measured. The run, not the scheduler, judges a worker's death. With a saturation above 1
#: a queued task is blamed for the death of a worker. Nannies would end cells that have a large cost matrix. A worker is
#: not lost because its solver holds the interpreter for minutes, or because a clock jumps.
DASK = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.scheduler.worker-saturation": 1.0,
    "distributed.scheduler.worker-ttl": None,
    "distributed.scheduler.active-memory-manager.start": False,
    "distributed.worker.memory.target": False,
    "distributed.worker.memory.spill": False,
    "distributed.worker.memory.pause": False,
    "distributed.worker.memory.terminate": False,
    "distributed.admin.tick.limit": "1h",
    # every connection of a scheduler keeps its last messages, tasks and all: with dask's own thousand that is two
    # kilobytes a cell
    "distributed.admin.low-level-log-length": 10,
    # with dask's own threshold the pages of every temporary are returned, and a third of a worker's time goes into
    # getting new ones
    "distributed.nanny.pre-spawn-environ.MALLOC_TRIM_THRESHOLD_": 2**28,
    "distributed.nanny.pre-spawn-environ.MALLOC_MMAP_THRESHOLD_": 2**28,
}

#: The address at which only this machine can be heard.
LOOPBACK = "127.0.0.1"

#: Seconds within which a first worker must join; a batch system may let its jobs wait for a day.
JOIN = 60.0
JOIN_BATCH = 86400.0

#: The loggers that dask sets up.
LOGGERS = ("distributed", "distributed.client", "tornado", "tornado.application")

#: How often it is tried to start processes on this machine.
STARTS = 3

#: Seconds within which a scheduler must answer.
ANSWER = 10.0


class BatchSystem(Spec):
    """An engine file: which cluster class of dask-jobqueue is used, how many jobs it asks for, and its options."""

    kind: ClassVar[str] = "engine file"

    cluster: Literal["slurm", "pbs", "sge", "lsf", "oar", "moab", "htcondor", "local"]
    jobs: int = Field(1, ge=1)
    options: dict[str, Any] = Field(default_factory=dict)


#: The classes of dask-jobqueue by the name an engine file gives.
CLUSTERS = {
    "slurm": "SLURMCluster", "pbs": "PBSCluster", "sge": "SGECluster", "lsf": "LSFCluster", "oar": "OARCluster",
    "moab": "MoabCluster", "htcondor": "HTCondorCluster",
}  # fmt: skip


def check_engine(engine: str) -> None:
    """InputError unless ``engine`` is inline, local, a scheduler's address, or an engine file that is understood."""
    if engine in {"inline", "local"} or engine.startswith(("tcp://", "tls://")):
        return
    if not engine.endswith(".toml"):
        raise InputError(f"unknown engine {engine!r}: use inline, local, tcp://HOST:PORT, or a .toml file")
    read_engine_file(Path(engine))


@contextmanager
def open_client(engine: str, workers: int, gpus: int = 0) -> Iterator["Client"]:
    """A dask client whose workers are there.

    The engine ``local`` starts ``workers`` processes of one thread on this machine, or one per GPU;
    ``tcp://HOST:PORT`` joins a scheduler that somebody runs; ``FILE.toml`` asks a batch system for jobs.

    Raises:
        InputError: no scheduler answers, no worker joins, or the engine file cannot be used.
    """
    import dask
    from distributed import Client

    with ExitStack() as stack:
        stack.enter_context(dask.config.set(DASK))
        for name in LOGGERS:  # the death of a worker is told in a row, and not in a page of log
            logging.getLogger(name).setLevel(logging.CRITICAL)
        if engine == "local":
            address = stack.enter_context(_processes(workers, gpus))
        elif engine.endswith(".toml"):
            address = stack.enter_context(_batch(read_engine_file(Path(engine))))
        else:
            address = engine
        try:
            client = stack.enter_context(ended_in_time_or_not(Client(address, timeout=ANSWER)))
        except (OSError, ValueError) as error:
            reason = str(error).splitlines()[0]
            remedy = "start one with `dask scheduler`"
            raise InputError(f"no dask scheduler answers at {engine}: {reason}; {remedy}") from None
        with own_judgement(client):
            _first_worker(client, JOIN_BATCH if engine.endswith(".toml") else JOIN)
            yield client


def visible_devices(gpus: int, outer: str | None) -> list[str]:
    """The device that each of ``gpus`` workers is shown: the first ones in an outer CUDA_VISIBLE_DEVICES, if any.

    Raises:
        InputError: it has fewer.
    """
    if outer is None:
        return [str(k) for k in range(gpus)]
    shown = [name.strip() for name in outer.split(",") if name.strip()]
    if gpus > len(shown):
        raise InputError(f"--gpus {gpus}, but CUDA_VISIBLE_DEVICES={outer} shows {len(shown)}: ask for as many")
    return shown[:gpus]


@contextmanager
def _processes(workers: int, gpus: int) -> Iterator[Any]:
    """Worker processes that only this machine can reach, each with a nanny that starts it again when it dies."""
    from distributed import Nanny, Scheduler, SpecCluster

    common: dict[str, Any] = {
        "nthreads": 1, "host": LOOPBACK, "memory_limit": 0, "silence_logs": logging.CRITICAL,
        "dashboard": False, "dashboard_address": f"{LOOPBACK}:0",
    }  # fmt: skip
    each: list[dict[str, Any]] = [{}] * workers
    if gpus:
        devices = visible_devices(gpus, os.environ.get("CUDA_VISIBLE_DEVICES"))
        each = [{"env": {"CUDA_VISIBLE_DEVICES": device}, "resources": {"GPU": 1}} for device in devices]
    spec = {k: {"cls": Nanny, "options": common | own} for k, own in enumerate(each)}
    scheduler = {"host": LOOPBACK, "port": 0, "dashboard": False, "dashboard_address": f"{LOOPBACK}:0"}
    for left in reversed(range(STARTS)):
        try:
            with _without_interrupts():
                cluster = SpecCluster(
                    workers=spec, scheduler={"cls": Scheduler, "options": scheduler}, silence_logs=logging.CRITICAL
                )
            break
        except RuntimeError as error:  # a worker died before it was up
            if not left:
                raise ResultsError(f"workers do not start ({error}); run with --engine inline to see why") from None
    with ended_in_time_or_not(cluster):
        yield cluster


@contextmanager
def ended_in_time_or_not(opened: Any) -> Iterator[Any]:
    """A client or cluster as a context. That it does not end within dask's patience, on a machine busy with other work,
    is no failure of the run: its rows are there, and what is left ends with this process."""
    done = False
    try:
        with opened as it:
            yield it
            done = True
    except TimeoutError:
        if not done:
            raise


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Threads and processes that are started in this context do not hear Ctrl-C, which the run itself answers."""
    resource_tracker.ensure_running()  # it would lift the block in the thread that first needs it
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def read_engine_file(file: Path) -> BatchSystem:
    """The validated contents of an engine file."""
    tables = read_toml(file)
    try:
        asked = BatchSystem(**tables)
    except InputError as error:
        raise InputError(f"{file}: {error}") from None
    if asked.cluster != "local" and "interface" not in asked.options:
        raise InputError(
            f"{file}: options.interface must name the network the nodes share (`ip -brief address` lists them); "
            "without it the scheduler would listen on all of them"
        )
    return asked


@contextmanager
def _batch(asked: BatchSystem) -> Iterator[Any]:
    """Jobs of a batch system, each with one or several workers of one thread."""
    try:
        import dask_jobqueue
        from dask_jobqueue.local import LocalCluster
    except ImportError:
        raise InputError(
            "batch systems need dask-jobqueue, which is not installed: pip install 'otbench[cluster]'"
        ) from None
    own = {"scheduler_options": {"host": LOOPBACK, "dashboard_address": f"{LOOPBACK}:0"}}
    options = {"processes": asked.options.get("cores", 1), **(own if asked.cluster == "local" else {}), **asked.options}
    chosen = LocalCluster if asked.cluster == "local" else getattr(dask_jobqueue, CLUSTERS[asked.cluster])
    try:
        cluster = chosen(**options)
    except (TypeError, ValueError) as error:
        raise InputError(f"dask-jobqueue does not take these options: {str(error).splitlines()[0]}") from None
    with ended_in_time_or_not(cluster):
        cluster.scale(jobs=asked.jobs)
        yield cluster


def _first_worker(client: "Client", seconds: float) -> None:
    """Wait until a worker has joined; InputError where none has after ``seconds``."""
    try:
        client.wait_for_workers(1, timeout=seconds)
    except TimeoutError:
        raise InputError(f"no worker joined within {seconds:.0f} s: start some with `dask worker ADDRESS`") from None


def check_workers(
    client: "Client", device: str, resources: dict[str, float], plugins: Collection[Plugin] = ()
) -> None:
    """InputError unless every worker that will be used runs this otbench, can compute on ``device``, and has what the
    ``plugins`` need: a file comes with its cells, what it imports and an installed one must be there."""
    able = list(threads(client, resources))
    if not able:
        raise InputError("no worker offers a GPU: start them with `dask worker ADDRESS --resources GPU=1 --nthreads 1`")
    # a worker that died meanwhile is started again
    said = client.run(_ready, device, list(plugins), workers=able, on_error="return")
    for told in said.values():
        if isinstance(told, InputError | ImportError):
            raise InputError(f"a worker cannot be used: {first_line(told)}")
        if isinstance(told, str) and told != own_version():
            raise InputError(f"a worker runs otbench {told}, this is {own_version()}: install the same everywhere")


def _ready(device: str, plugins: list[Plugin]) -> str:
    """The version of otbench on a worker, once it is known that the device and the plugins can be used there."""
    check_device(device)
    for plugin in plugins:
        plugin.load()
    return own_version()
