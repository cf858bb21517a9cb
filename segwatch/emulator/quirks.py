"""Oddities of the platform that can be switched on, one by one, while the emulator runs."""

from enum import StrEnum


class Quirk(StrEnum):
    """Every switch of `POST /_emulator/quirks`; all are off at the start. AEP contract 13."""

    IGNORE_SORT = "ignore_sort"  # job lists come newest first, whatever `sort` asks for
    ITEM_OFFSET_START = "item_offset_start"  # `start` counts items, not pages
    ABSOLUTE_LINKS = "absolute_links"  # next links carry scheme and host
    UPS_RELATIVE_LINKS = "ups_relative_links"  # next links read /segment/jobs?..., without the "@"
    NO_LINKS = "no_links"  # lists carry no links at all
    EXTRA_FIELDS = "extra_fields"  # jobs carry fields that no document names
    SHIFTING_ROWS = "shifting_rows"  # a later page repeats the last row of the one before
    ERROR_ENVELOPE_200 = "error_envelope_200"  # reading jobs answers 200 with an error inside
    EXPORT_CANCEL_STATUS = "export_cancel_status"  # a cancelled export ends CANCELLED instead of FAILED
    NO_BATCH_ID = "no_batch_id"  # exports do not name their batch
    OBJECT_BATCHES = "object_batches"  # destination.batches is an object instead of an array
    ERRORS_ON_SUCCESS = "errors_on_success"  # a job that succeeded still carries errors
    SECONDS_EPOCHS = "seconds_epochs"  # creationTime and updateTime are seconds
    MULTI_SCHEDULES = "multi_schedules"  # a sandbox may have several evaluation schedules
    PARTIAL_BULK_GET = "partial_bulk_get"  # bulk-get rows are shortened
    STRICT_CONTENT_TYPE = "strict_content_type"  # a body must be declared as JSON, else 400
    EXISTING_STATUS = "existing_status"  # members who were in a segment before are `existing`, not `realized`
    EXPORT_AFTER_EVALUATION = "export_after_evaluation"  # an on-demand evaluation starts its own export afterwards
    JWT_EXCHANGE = "jwt_exchange"  # the old way to a token, POST /ims/exchange/jwt, is served
    PRODUCTION_LINKS = "production_links"  # Data Access and Query Service link to platform.adobe.io:443
    DIRECTORY_FILES = "directory_files"  # a batch is one directory entry that lists the names of its parts
    IGNORE_RANGE = "ignore_range"  # downloads answer 200 with the whole file, whatever range was asked for
