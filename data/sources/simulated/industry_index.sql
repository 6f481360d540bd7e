-- The statistics office's index of turnover -> one industry and month each, known when published.
SELECT
  _row,
  industry || ' ' || substr(month, 7, 4) || '-' || substr(month, 4, 2) AS index_id,
  industry,
  month AS month_on,
  value,
  published_at AS recorded_at
FROM statistics
