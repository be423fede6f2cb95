-- What the numbered migrations left behind and no function calls any more. Run after the calls that were under way have ended.
DROP FUNCTION IF EXISTS
    await.announce(), await.advance_marks(), await.advance_soon(), await.newest_mark(bigint), await.forget_keys(int),
    await.append(await.head, text, text, jsonb, int2, text), await.lock_head(uuid, boolean),
    await.give_back(await.head, int2, jsonb, interval), await.cut(uuid, "char", int2, bytea), await.is_full(),
    await.whole_moment(), await.is_whole(pg_snapshot), await.open_lane(int4), await.enqueue(uuid, int2, int2, int2, timestamptz);
DROP TYPE IF EXISTS await.head;
