-- The address book's change log -> one version of a person each. A departure is entered some weeks after it.
SELECT
  _row,
  person AS contact_id,
  account AS client_id,
  role,
  decides AS is_decision_maker,
  since AS from_on,
  left_on AS until_on,
  updated_at AS recorded_at
FROM people
