"""What a learner has done is kept, once, and for each on their own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from sqlalchemy import func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from meshdojo.web.database import migrate, open_engine
from meshdojo.web.models import LOCAL_LEARNER, Attempt
from meshdojo.web.progress import Answer, LabProgress, Progress, Verdict

pytestmark = pytest.mark.anyio


@pytest.fixture
async def engine(tmp_path: Path) -> AsyncIterator[AsyncEngine]:
    engine = open_engine(f"sqlite:///{tmp_path / 'site.db'}")
    await migrate(engine)
    yield engine
    await engine.dispose()


async def test_the_first_pass_counts_and_is_never_taken_back(engine: AsyncEngine) -> None:
    progress = Progress(engine)
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "not yet"))
    assert (await progress.lab(LOCAL_LEARNER, "canary")).passed_at == {}
    first = await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("fail", "no longer"))
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    assert (await progress.lab(LOCAL_LEARNER, "canary")).passed_at == {"dark": first}
    assert (await progress.course(LOCAL_LEARNER))["canary"].passed(["dark", "gone"]) == 1


async def test_every_attempt_is_kept_whole(engine: AsyncEngine) -> None:
    verdict = Verdict("fail", "The canary gets nothing.", "0 of 400", "about 40", "Weights?", 0.25)
    await Progress(engine).record(LOCAL_LEARNER, "canary", "tenth", verdict)
    async with engine.connect() as connection:
        row = (await connection.execute(select(Attempt))).one()
    kept = (row.lab, row.task, row.outcome, row.reason, row.saw, row.expected, row.seconds)
    assert kept == ("canary", "tenth", "fail", "The canary gets nothing.", "0 of 400", "about 40", 0.25)


async def test_attempts_that_come_together_all_arrive(engine: AsyncEngine) -> None:
    progress = Progress(engine)
    await asyncio.gather(*(progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass")) for _ in range(40)))
    async with engine.connect() as connection:
        assert await connection.scalar(select(func.count()).select_from(Attempt)) == 40
    assert len((await progress.lab(LOCAL_LEARNER, "canary")).passed_at) == 1


async def test_hints_open_one_by_one_up_to_the_last(engine: AsyncEngine) -> None:
    progress = Progress(engine)
    opened = [await progress.open_hint(LOCAL_LEARNER, "canary", "dark", 2) for _ in range(3)]
    assert opened == [1, 2, 2]
    assert await progress.open_hint(LOCAL_LEARNER, "canary", "bare", 0) == 0
    assert (await progress.lab(LOCAL_LEARNER, "canary")).hints == {"dark": 2}


async def test_the_last_answer_stands(engine: AsyncEngine) -> None:
    progress = Progress(engine)
    await progress.answer(LOCAL_LEARNER, "canary", "why", Answer((0, 2), False))
    await progress.answer(LOCAL_LEARNER, "canary", "why", Answer((1,), True))
    assert (await progress.lab(LOCAL_LEARNER, "canary")).answers == {"why": Answer((1,), True)}


async def test_labs_do_not_mix_and_strangers_have_none(engine: AsyncEngine) -> None:
    progress = Progress(engine)
    await progress.record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    assert await progress.lab(LOCAL_LEARNER, "mtls") == LabProgress()
    assert await progress.course(2) == {}
    with pytest.raises(IntegrityError):
        await progress.record(2, "canary", "dark", Verdict("pass"))


async def test_progress_survives_a_new_engine(engine: AsyncEngine) -> None:
    at = await Progress(engine).record(LOCAL_LEARNER, "canary", "dark", Verdict("pass"))
    await engine.dispose()
    again = open_engine(engine.url.render_as_string())
    await migrate(again)
    assert (await Progress(again).lab(LOCAL_LEARNER, "canary")).passed_at == {"dark": at}
    await again.dispose()
