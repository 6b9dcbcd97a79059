-- One database and its owner, named by the environment; a password that changed is changed here too.
\getenv name DB_NAME
\getenv password DB_PASSWORD
SET log_min_error_statement = panic; -- a statement with a password stays out of the log
SELECT format('CREATE ROLE %I LOGIN', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'name') \gexec
SELECT format('ALTER ROLE %I PASSWORD %L', :'name', :'password') \gexec
SELECT format('CREATE DATABASE %1$I OWNER %1$I', :'name')
 WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'name') \gexec
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', :'name') \gexec
