-- A database as version 1 left it.
PRAGMA application_id = 0x506f7274;
CREATE TABLE settings (
  key TEXT NOT NULL PRIMARY KEY,
  value TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE contacts (
  key BLOB NOT NULL PRIMARY KEY CHECK (length (key) = 32),
  name TEXT NOT NULL,
  blocked INTEGER NOT NULL,
  auto_accept INTEGER NOT NULL,
  auto_accept_max INTEGER NOT NULL,
  added_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE contact_rendezvous (
  contact BLOB NOT NULL REFERENCES contacts ON DELETE CASCADE,
  n INTEGER NOT NULL,
  address TEXT NOT NULL,
  PRIMARY KEY (contact, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE invitations (
  lookup TEXT NOT NULL PRIMARY KEY,
  secret BLOB NOT NULL,
  rendezvous TEXT NOT NULL,
  name TEXT NOT NULL,
  created_at INTEGER NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO settings VALUES ('name', 'fixture');
INSERT INTO contacts VALUES (zeroblob (32), 'someone', 0, 1, 5000, 1700000000);
INSERT INTO contact_rendezvous VALUES (zeroblob (32), 0, 'wss://meet.example/');
INSERT INTO invitations VALUES ('look-up', zeroblob (16), 'wss://meet.example/', '', 1700000000, 1700086400);
PRAGMA user_version = 1;
