"""How long the command line takes to say something: help, the version, the list, completion.

Printed for each: the quickest of several calls, and the time of the processor, which other programs on the machine do
not change. Half a second is what people do not notice; nothing here fails where a machine is slower.
"""

import os
import resource
import subprocess
import sys
import time

import pytest

CALLS = 9

COMPLETION = {
    "COMP_WORDS": "oodbench run tiny-v1 --methods ms",
    "COMP_CWORD": "4",
    "_OODBENCH_COMPLETE": "complete_bash",
}


def call(words: list[str], variables: dict[str, str]) -> None:
    command = [sys.executable, "-c", "import sys; from oodbench.cli import main; sys.exit(main())", *words]
    subprocess.run(command, env={**os.environ, **variables}, stdout=subprocess.DEVNULL, check=True)


def processor() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


@pytest.mark.benchmark(group="start-up")
@pytest.mark.parametrize("words", ["--help", "--version", "run --help", "list", "completion"])
def test_startup(benchmark, words: str) -> None:
    given = ([], COMPLETION) if words == "completion" else (words.split(), {})
    call(*given)
    walls, works = [], []
    for _ in range(CALLS):
        wall, work = time.perf_counter(), processor()
        call(*given)
        walls.append(time.perf_counter() - wall)
        works.append(processor() - work)
    benchmark.pedantic(call, args=given, rounds=3)
    benchmark.extra_info.update({"wall_s": min(walls), "processor_s": min(works)})
    print(f"\noodbench {words}: {min(walls):.2f} s, {min(works):.2f} s of the processor")
