-- Contracts, a line per renewal -> one version of an agreement each.
SELECT
  _row,
  contract AS agreement_id,
  account AS client_id,
  service,
  signed AS signed_on,
  terms_sent AS terms_sent_on,
  begins AS starts_on,
  ends AS ends_on,
  auto_renew AS renews,
  notice_days,
  monthly_value,
  currency,
  scope AS has_scope,
  hours AS has_service_hours,
  delivery AS has_delivery_time,
  payment AS has_payment_terms,
  updated_at AS recorded_at
FROM contracts
