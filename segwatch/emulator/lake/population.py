"""Profiles made up by a seed: the same seed, size and time give the same rows, however many threads work on them."""

from datetime import UTC, datetime

from duckdb import DuckDBPyConnection

from segwatch.emulator.lake import tables
from segwatch.emulator.lake.made_up_events import EVENTS

_SLICE = 2 * 122_880  # profiles made at once, in whole row groups: bounds the memory that is needed on the way

# chance('topic', n): what is decided for profile n, in [0, 1); chance_at('topic', n, i): for its i-th event.
# DuckDB's hash of several values is the exclusive or of theirs; hashing that again makes topics independent
_MACROS = """
CREATE OR REPLACE TEMP MACRO chance(topic, n) AS (hash(hash({seed}, topic, n)) >> 11) / 9007199254740992.0;
CREATE OR REPLACE TEMP MACRO chance_at(topic, n, i) AS
  (hash(hash({seed}, topic, n, i)) >> 11) / 9007199254740992.0;
CREATE OR REPLACE TEMP MACRO one_of(list, u) AS list[1 + CAST(floor(u * len(list)) AS INTEGER)];
"""

# Who somebody is comes first, since most else follows from it: the country decides language and names, the age decides
# the device and the loyalty, how active somebody is decides events and points. Profile 0 is sam@example.org.
_PEOPLE = """
WITH chosen AS (
  SELECT
    _n,
    _n = 0 AS is_sam,
    chance('country', _n) AS u_country,
    chance('sex', _n) AS u_sex,
    -- between 16 and 90, more of them young
    $today - CAST(floor(365.25 * (16 + 74 * pow(chance('age', _n), 1.5))) AS INTEGER) AS born,
    chance('activity', _n) AS activity,
    _n > 0 AND chance('empty', _n) < 0.02 AS is_empty
  FROM number WHERE _n BETWEEN $first AND $last
),
placed AS (
  SELECT *,
    CASE
      WHEN is_sam OR u_country < 0.22 THEN 'NL' WHEN u_country < 0.42 THEN 'DE' WHEN u_country < 0.60 THEN 'US'
      WHEN u_country < 0.72 THEN 'GB' WHEN u_country < 0.82 THEN 'FR' WHEN u_country < 0.88 THEN 'BE'
      WHEN u_country < 0.93 THEN 'ES' WHEN u_country < 0.97 THEN 'IT' ELSE 'SE'
    END AS country,
    CASE WHEN u_sex < 0.48 OR is_sam THEN 'male' WHEN u_sex < 0.97 THEN 'female' ELSE 'non_specific' END AS gender,
    -- an older and more active customer is more often in the programme
    is_sam OR chance('loyal', _n) < 0.15 + 0.4 * activity + 0.002 * (year($today) - year(born)) AS is_loyal
  FROM chosen
),
named AS (
  SELECT *,
    CASE
      WHEN is_sam THEN 'Sam'
      WHEN country IN ('NL', 'BE') AND gender = 'female'
        THEN one_of(['Anna', 'Femke', 'Sanne', 'Lotte', 'Noor', 'Eva'], chance('first', _n))
      WHEN country IN ('NL', 'BE') THEN one_of(['Daan', 'Sem', 'Bram', 'Jan', 'Pieter', 'Thijs'], chance('first', _n))
      WHEN country = 'DE' AND gender = 'female'
        THEN one_of(['Lena', 'Mia', 'Hannah', 'Greta', 'Sabine'], chance('first', _n))
      WHEN country = 'DE' THEN one_of(['Jonas', 'Paul', 'Felix', 'Klaus', 'Lukas'], chance('first', _n))
      WHEN country IN ('FR', 'ES', 'IT') AND gender = 'female'
        THEN one_of(['Camille', 'Lucia', 'Giulia', 'Manon', 'Carmen'], chance('first', _n))
      WHEN country IN ('FR', 'ES', 'IT')
        THEN one_of(['Hugo', 'Pablo', 'Marco', 'Louis', 'Diego'], chance('first', _n))
      WHEN gender = 'female' THEN one_of(['Olivia', 'Emma', 'Grace', 'Astrid', 'Ruth'], chance('first', _n))
      ELSE one_of(['Jack', 'Noah', 'Oscar', 'James', 'Erik'], chance('first', _n))
    END AS first_name,
    CASE
      WHEN is_sam THEN 'de Vries'
      WHEN country IN ('NL', 'BE')
        THEN one_of(['de Jong', 'Jansen', 'Bakker', 'Visser', 'Peeters', 'Smit'], chance('last', _n))
      WHEN country = 'DE' THEN one_of(['Müller', 'Schmidt', 'Weber', 'Fischer', 'Wagner'], chance('last', _n))
      WHEN country IN ('FR', 'ES', 'IT')
        THEN one_of(['Martin', 'García', 'Rossi', 'Bernard', 'Moreno'], chance('last', _n))
      ELSE one_of(['Smith', 'Jones', 'Miller', 'Taylor', 'O''Brien', 'Lindqvist'], chance('last', _n))
    END AS last_name,
    is_sam OR (NOT is_empty AND chance('email', _n) < 0.92) AS has_email,
    is_sam OR (NOT is_empty AND (is_loyal OR chance('crm', _n) < 0.15)) AS has_crm,
    CASE WHEN is_sam OR (NOT is_empty AND chance('asked', _n) < 0.85)
      THEN $now - to_seconds(86400 * (1 + 700 * chance('asked at', _n))) END AS asked_at,
    is_sam OR chance('opted', _n) < if(is_loyal, 0.75, 0.4) AS is_opted_in,
    CAST(floor(-ln(1 - chance('points', _n)) * (300 + 2500 * activity)) AS INTEGER) AS points
  FROM placed
),
people AS (
  SELECT *,
    if(is_sam, 'sam@example.org', strip_accents(lower(regexp_replace(first_name || '.' || last_name, '[ '']', '', 'g')))
      || _n || one_of(['@example.org', '@example.com', '@example.net'], chance('mail', _n))) AS address,
    -- nobody is without any identity
    is_empty OR NOT (has_email OR has_crm) OR chance('ecid', _n) < 0.75 AS has_ecid,
    CASE
      WHEN is_sam THEN 7
      WHEN is_empty THEN 1 + CAST(floor(chance('count', _n) * 4) AS INTEGER)
      WHEN chance('quiet', _n) < 0.25 THEN 0
      ELSE least(80, 1 + CAST(floor(-ln(1 - chance('count', _n)) * (1 + 9.5 * activity)) AS INTEGER))
    END AS event_count,
    CASE country
      WHEN 'NL' THEN ['1011', 'Kerkstraat ', '31'] WHEN 'DE' THEN ['10115', 'Hauptstrasse ', '49']
      WHEN 'US' THEN ['94107', 'Main Street ', '1'] WHEN 'GB' THEN ['SW1A', 'Park Lane ', '44']
      WHEN 'FR' THEN ['75001', 'Rue Neuve ', '33'] WHEN 'BE' THEN ['1000', 'Nieuwstraat ', '32']
      WHEN 'ES' THEN ['28001', 'Calle Mayor ', '34'] WHEN 'IT' THEN ['00118', 'Via Roma ', '39']
      ELSE ['11120', 'Storgatan ', '46']
    END AS local,
    CASE country
      WHEN 'NL' THEN one_of(['Amsterdam', 'Utrecht', 'Rotterdam', 'Groningen', 'Eindhoven'], chance('city', _n))
      WHEN 'DE' THEN one_of(['Berlin', 'Hamburg', 'Köln', 'München'], chance('city', _n))
      WHEN 'US' THEN one_of(['San Francisco', 'Austin', 'Chicago', 'New York'], chance('city', _n))
      WHEN 'GB' THEN one_of(['London', 'Leeds', 'Glasgow'], chance('city', _n))
      WHEN 'FR' THEN one_of(['Paris', 'Lyon', 'Lille'], chance('city', _n))
      WHEN 'BE' THEN one_of(['Brussel', 'Gent', 'Antwerpen'], chance('city', _n))
      WHEN 'ES' THEN one_of(['Madrid', 'Sevilla'], chance('city', _n))
      WHEN 'IT' THEN one_of(['Roma', 'Milano'], chance('city', _n))
      ELSE one_of(['Stockholm', 'Malmö'], chance('city', _n))
    END AS city
  FROM named
),
known AS (
  SELECT *,
    {{'id': address, 'primary': true}} AS email,
    {{'id': printf('%020d%018d', hash(hash({seed}, 'ecid', _n)), _n),
      'primary': NOT has_email AND NOT has_crm}} AS ecid,
    {{'id': 'CRM-' || lpad(CAST(_n AS VARCHAR), 8, '0'), 'primary': NOT has_email}} AS crm
  FROM people
)
SELECT
  _n,
  'BV' || lower(hex(hash(hash({seed}, 'xid', _n)))) || 'x' || _n AS _xid,
  $now - to_seconds(90 * 86400 * pow(chance('seen', _n), 2)) AS _ingested,
  CASE
    WHEN has_email AND has_ecid AND has_crm
      THEN MAP {{'email': [email], 'ecid': [ecid], 'crmid': [crm]}}
    WHEN has_email AND has_ecid THEN MAP {{'email': [email], 'ecid': [ecid]}}
    WHEN has_email AND has_crm THEN MAP {{'email': [email], 'crmid': [crm]}}
    WHEN has_ecid AND has_crm THEN MAP {{'ecid': [ecid], 'crmid': [crm]}}
    WHEN has_email THEN MAP {{'email': [email]}}
    WHEN has_ecid THEN MAP {{'ecid': [ecid]}}
    ELSE MAP {{'crmid': [crm]}}
  END AS identityMap,
  CASE WHEN NOT is_empty THEN {{
    'name': {{'firstName': first_name, 'lastName': last_name, 'fullName': first_name || ' ' || last_name}},
    'birthDate': CASE WHEN is_sam THEN DATE '1985-04-12' WHEN chance('told age', _n) < 0.88 THEN born END,
    'birthYear': CASE WHEN is_sam THEN 1985 WHEN chance('told age', _n) < 0.88 THEN CAST(year(born) AS INTEGER) END,
    'gender': CASE WHEN is_sam OR chance('told sex', _n) < 0.8 THEN gender END
  }} END AS person,
  CASE WHEN has_email THEN {{'address': address}} END AS personalEmail,
  CASE WHEN NOT is_empty AND (is_sam OR chance('phone', _n) < 0.6)
    THEN {{'number': '+' || local[3] || '6' || lpad(CAST(_n AS VARCHAR), 8, '0')}} END AS mobilePhone,
  CASE WHEN NOT is_empty AND (is_sam OR chance('home', _n) < 0.9) THEN {{
    'street1': local[2] || CAST(1 + floor(chance('house', _n) * 180) AS INTEGER),
    'city': city,
    'postalCode': local[1]
      || if(country = 'NL', ' ' || chr(65 + CAST(floor(chance('post', _n) * 26) AS INTEGER)) || 'B', ''),
    'stateProvince': CASE country
      WHEN 'US' THEN one_of(['CA', 'TX', 'IL', 'NY'], chance('city', _n))
      WHEN 'NL' THEN one_of(['Noord-Holland', 'Utrecht', 'Zuid-Holland', 'Groningen', 'Noord-Brabant'],
                            chance('city', _n))
    END,
    'country': country,
    'countryCode': country
  }} END AS homeAddress,
  CASE WHEN NOT is_empty AND chance('work', _n) < 0.4 AND year($today) - year(born) BETWEEN 20 AND 67 THEN {{
    'street1': 'Business Park ' || CAST(1 + floor(chance('park', _n) * 40) AS INTEGER),
    'city': city,
    'postalCode': local[1],
    'stateProvince': NULL::VARCHAR,
    'country': if(chance('abroad', _n) < 0.05, 'DE', country),
    'countryCode': if(chance('abroad', _n) < 0.05, 'DE', country)
  }} END AS workAddress,
  CASE WHEN NOT is_empty AND is_loyal THEN {{
    'tier': CASE
      WHEN points < 300 THEN 'bronze' WHEN points < 1200 THEN 'silver' WHEN points < 3500 THEN 'gold' ELSE 'platinum'
    END,
    'points': points,
    'joinDate': $today - CAST(30 + floor(chance('joined', _n) * 3000) AS INTEGER),
    'programID': one_of(['everyday', 'everyday', 'everyday', 'family'], chance('programme', _n))
  }} END AS loyalty,
  CASE WHEN asked_at IS NOT NULL THEN {{
    'marketing': {{
      'email': {{'val': if(is_opted_in, 'y', 'n'), 'time': asked_at}},
      'sms': {{'val': if(is_opted_in AND chance('sms', _n) < 0.3, 'y', 'n'), 'time': asked_at}},
      'preferred': if(is_opted_in, 'email', 'none')
    }},
    'personalize': {{'content': {{'val': if(chance('content', _n) < 0.7, 'y', 'n')}}}}
  }} END AS consents,
  CASE WHEN asked_at IS NOT NULL THEN {{
    'email': is_opted_in, 'sms': is_opted_in AND chance('sms', _n) < 0.3
  }} END AS optInOut,
  CASE WHEN NOT is_empty AND chance('interests', _n) < 0.8 THEN list_distinct(list_transform(
    range(CAST(floor(1 + chance('how many', _n) * 4) AS INTEGER)),
    lambda i: one_of(
      ['running', 'cycling', 'hiking', 'swimming', 'football', 'yoga', 'travel', 'cooking', 'music', 'gardening'],
      pow(chance_at('interest', _n, i), 1.4)))) END AS interests,
  CASE WHEN NOT is_empty AND (is_sam OR chance('language', _n) < 0.85) THEN CASE
    WHEN country = 'BE' AND chance('speaks', _n) < 0.4 THEN 'fr'
    WHEN country IN ('NL', 'BE') THEN 'nl'
    WHEN country IN ('US', 'GB') THEN 'en'
    WHEN country = 'SE' THEN 'sv'
    ELSE lower(country)
  END END AS preferredLanguage,
  {events} AS xEvent
FROM known
"""


def anchor(now: datetime) -> datetime:
    """Return what made-up times count back from: the beginning of the day (UTC), the same for all servers of a day."""
    return now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def create(cursor: DuckDBPyConnection, *, seed: int, size: int, now: datetime) -> None:
    """Create `profile`, and fill `identity`. size: how many profiles. now: nothing about them is later than that."""
    cursor.execute(_MACROS.format(seed=seed))
    people = _PEOPLE.format(seed=seed, events=EVENTS.format(seed=seed))
    given = {"now": now, "today": now.date()}
    # a table, since threads share the work by its row groups; the function range() is read by one thread only
    cursor.execute("CREATE OR REPLACE TEMP TABLE number AS SELECT range AS _n FROM range($size)", {"size": size})
    # under another name until it is whole: whoever ends the process meanwhile leaves no half of a population
    cursor.execute("DROP TABLE IF EXISTS growing")
    for first in range(0, size, _SLICE):
        into = "INSERT INTO growing" if first else "CREATE TABLE growing AS"
        cursor.execute(f"{into} {people}", given | {"first": first, "last": first + _SLICE - 1})
        cursor.execute("CHECKPOINT")  # compresses, in memory too: to a sixth
    cursor.execute("DROP TABLE number")
    cursor.begin()
    cursor.execute("ALTER TABLE growing RENAME TO profile")
    tables.note_identities(cursor)
    cursor.commit()
    cursor.execute("CHECKPOINT")
