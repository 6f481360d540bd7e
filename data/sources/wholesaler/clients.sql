-- Order lines -> one client each, known from its first line on.
SELECT
  list(_row ORDER BY _row) AS _row,
  regexp_replace(customer_id, '\.0$', '') AS client_id,
  arg_min(country, (invoice_date, _row)) AS country,
  min(invoice_date)[:10] AS started_on,
  min(invoice_date) AS recorded_at
FROM order_lines
WHERE coalesce(customer_id, '') <> ''
GROUP BY customer_id
