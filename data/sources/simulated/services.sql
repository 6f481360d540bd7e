-- The management's list of services -> one version of a service each, a new one when its weight changes.
SELECT
  _row,
  service AS service_id,
  name,
  weight AS strategic_weight,
  begins AS from_on,
  updated_at AS recorded_at
FROM service_list
