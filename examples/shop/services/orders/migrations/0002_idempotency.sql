-- Nullable: the older version goes on inserting without it.
ALTER TABLE orders ADD COLUMN idempotency_key text UNIQUE;
