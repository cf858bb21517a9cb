-- A webhook-id must be one event's alone, also among stores: one that was begun anew counts its events from 1 again.
-- `identity` is random and tells this store from all others. Each delivery keeps the identity under which it was
-- promised, and with it its id, for ever: 0 for those of before, whose ids stay as they were.
INSERT INTO meta (name, value) VALUES ('identity', random());
ALTER TABLE delivery ADD COLUMN origin INTEGER NOT NULL DEFAULT 0;
