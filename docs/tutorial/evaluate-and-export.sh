#!/usr/bin/env bash
# Set a schedule, evaluate segments, export their members, read the batch: evaluate-and-export.md in one go.
# Needs the local platform in another terminal, with the segments, the people and the quota of a new one:
#   segwatch emulate --port 8787 --speed 60
# Leaves its files in the folder in which it runs.
set -euo pipefail

# 2. Settings

export PLATFORM=http://127.0.0.1:8787
export SEGWATCH_CONFIG=$PWD/config.toml

cat > config.toml <<TOML
[platform]
base_url = "$PLATFORM"
ims_url = "$PLATFORM"

[[sandboxes]]
name = "prod"
org_id = "0A1B2C3D4E5F60718293A4B5@AdobeOrg"
client_id = "tutorial"
client_secret = "anything"
requests_per_second = 20

[store]
url = "sqlite://$PWD/segwatch.db"
TOML

field() {
  python -c 'import json, sys
at = json.load(sys.stdin)
for name in sys.argv[1:]:
    at = at[int(name)] if isinstance(at, list) else at[name]
print(at if isinstance(at, (str, int)) else json.dumps(at, indent=2))' "$@"
}

segwatch check --online --json > check.json
field sandboxes 0 < check.json
field online 0 result < check.json

# 3. A schedule

SCHEDULE=$(segwatch schedules create nightly --cron "0 0 1 * * ?" --json | field id)
segwatch schedules enable $SCHEDULE --json | field state
segwatch schedules set $SCHEDULE --cron "0 0 2 * * ?" --json | field cron
segwatch schedules list

segwatch schedules set $SCHEDULE --cron "0 0 25 * * ?" || echo "exit code $?"

segwatch schedules disable $SCHEDULE --json | field state

# 4. Evaluate two segments

NL=a1b2c3d4-0001-4000-8000-000000000001
GOLD=a1b2c3d4-0004-4000-8000-000000000004

segwatch segments show $NL --json | field pql
segwatch evaluate $NL $GOLD --wait --json > evaluation.json
field status < evaluation.json
field members < evaluation.json
field members_by_namespace $NL < evaluation.json
field evaluations_left < evaluation.json

# 5. A dataset for the members

DATASET=$(segwatch datasets create "Members of two segments" --reuse --json | field id)
segwatch datasets show $DATASET --json | field schema

# 6. Export them

export_members() {
  segwatch export create --dataset $DATASET --segment $NL:ups:realized --segment $GOLD:ups:realized \
    --fields identities.id,identities.namespace.code,person.name.firstName,homeAddress.country,loyalty.tier \
    --merge-policy 9c9c9c9c-aaaa-4bbb-8ccc-dddddddddddd:1 "$@"
}

export_members --dry-run | field filter
export_members --wait --json > export.json
field status < export.json
field exported < export.json

# 7. List and follow exports

EXPORT=$(field id < export.json)
segwatch export list --limit 1
BATCH=$(segwatch export show $EXPORT --json | field batches 0)

# 8. The batch and its files

segwatch batch files $BATCH
segwatch batch download $BATCH --out members --json | field files
ls members

# 9. Open it

python - <<'PY'
import duckdb

duckdb.sql("""
  SELECT loyalty.tier AS tier, count(*) AS members, count(*) FILTER (homeAddress.country = 'NL') AS dutch
  FROM 'members/*.parquet' GROUP BY tier ORDER BY tier
""").show()
PY

segwatch query run "SELECT * FROM members_of_two_segments" --wait --json | field row_count

# 10. Look one member up

segwatch profile get sam@example.org --ns email --json > sam.json
field identities email 0 < sam.json
field memberships 0 name < sam.json
field memberships 0 status < sam.json

# 11. Tidy up

segwatch schedules delete $SCHEDULE --yes
