"""What the homeserver's limit holds back, and what goes all the same."""

from dataclasses import replace

import pytest

from aiagentchat.core.errors import RateLimited
from aiagentchat.core.health import SendHealth
from aiagentchat.core.parcels import Urgency
from aiagentchat.render.message import message
from aiagentchat.send.pacer import BURST, MARGIN_SECONDS, PROOF, RATE
from aiagentchat.send.postman import LONGEST_NAP
from tests.fakes.log import FakeLog
from tests.fakes.people import ME, OTHER, ROOM, command
from tests.unit.postman_stage import Post, parcel, settle


async def test_a_rate_limit_holds_the_whole_account_and_then_everything_arrives_in_order(post: Post) -> None:
    post.outbound.fail(RateLimited("429", retry_after=5))
    await post.put(parcel("one"))

    async with post.working() as postman:
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        await post.put(parcel("two"), parcel("elsewhere", OTHER))
        await post.bell.until_quiet()
        await post.bell.until_nap(5 + MARGIN_SECONDS)
        assert postman.health() == SendHealth(limited=True)

        await post.later(5)
        assert len(post.outbound.asked) == 1
        for sent, wait in enumerate((MARGIN_SECONDS, 1 / RATE, 1 / RATE), start=2):
            await post.later(wait)
            await post.outbound.until_asked(sent)
            await post.bell.until_nap(1 / RATE)
            assert len(post.outbound.asked) == sent
    assert post.outbound.texts(ROOM) == ["one", "two"]
    assert post.outbound.texts(OTHER) == ["elsewhere"]


async def test_a_limit_is_told_once_with_what_can_be_done(post: Post, postman_log: FakeLog) -> None:
    post.outbound.fail(RateLimited("429", retry_after=5), times=2)
    await post.put(parcel("one"))

    async with post.working() as postman:
        assert postman.health() == SendHealth(limited=False)
        for asked in (1, 2):
            await post.outbound.until_asked(asked)
            await post.bell.until_quiet()
            await post.later(30)
        await post.until_said(["one"])
    [line] = postman_log.of("outbox.rate_limited")
    assert line["retry_after"] == 5
    assert f"POST /_synapse/admin/v1/users/{ME}/override_ratelimit" in str(line["fix"])


async def test_an_account_without_a_limit_is_found_out(post: Post, postman_log: FakeLog) -> None:
    await post.put(*(parcel(str(number)) for number in range(PROOF + 5)))

    async with post.working():
        await post.until_said([str(number) for number in range(PROOF + 5)])
    assert postman_log.of("outbox.rate_proven") == [{}]


async def test_what_was_not_taken_is_replaced_by_what_is_newer_also_in_the_message_itself(post: Post) -> None:
    post.outbound.fail(RateLimited("429", retry_after=5))
    async with post.working():
        await post.put(parcel("H"))
        await post.outbound.until_asked(1)
        await post.bell.until_quiet()
        await post.put(parcel("Hello", edits="H"))
        await post.later(60)
        await post.until_said(["Hello"])
        await post.later(600)
    assert post.contents() == [message("Hello", notice=True)]


async def test_progress_keeps_half_of_the_bucket_for_what_is_needed(post: Post) -> None:
    asked = command()
    await settle(post, asked)
    progress = [replace(parcel(f"{number}"), urgency=Urgency.PROGRESS) for number in range(BURST)]
    await post.put(*progress)

    async with post.working():
        await post.outbound.until_asked(BURST // 2)
        await post.bell.until_quiet()
        assert len(post.outbound.asked) == BURST // 2
        assert post.bell.naps[-1] == pytest.approx(1 / RATE)
        await post.later(1 / RATE)
        assert len(post.outbound.asked) == BURST // 2 + 1

        await post.put(parcel("the end", OTHER))
        await post.outbound.until(lambda: len(post.outbound.texts()) == BURST // 2 + 2)
        assert post.outbound.texts()[-1] == "the end"
        await post.put(parcel("here, too"))
        await post.outbound.until(lambda: len(post.outbound.texts()) == BURST + 2)
    assert post.outbound.texts(ROOM) == [*(f"{number}" for number in range(BURST)), "here, too"]


async def test_what_an_earlier_life_has_sent_counts(post: Post) -> None:
    await settle(post, command())
    texts = [str(number) for number in range(BURST)]
    await post.put(*map(parcel, texts))
    async with post.working():
        await post.until_said(texts)

    await post.put(replace(parcel("progress"), urgency=Urgency.PROGRESS))
    async with post.working():
        await post.bell.until_quiet()
        assert post.outbound.texts() == texts
        assert post.bell.naps[-1] == pytest.approx(min(LONGEST_NAP, (BURST // 2 + 1) / RATE))
