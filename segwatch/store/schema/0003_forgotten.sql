-- Up to when jobs of a stream may have been deleted: a list that shows one of them again shows nothing new.
ALTER TABLE stream_position ADD COLUMN forgotten_us INTEGER;
