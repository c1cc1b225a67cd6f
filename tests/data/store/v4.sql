-- A database as version 4 left it.
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
  added_at INTEGER NOT NULL, verified INTEGER NOT NULL DEFAULT 0, alerted_at INTEGER NOT NULL DEFAULT 0, last_seen INTEGER NOT NULL DEFAULT 0
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
CREATE TABLE transfers (
  id BLOB NOT NULL PRIMARY KEY CHECK (length (id) = 16),
  peer BLOB NOT NULL CHECK (length (peer) = 32),
  peer_name TEXT NOT NULL,
  incoming INTEGER NOT NULL,
  state INTEGER NOT NULL,
  files INTEGER NOT NULL,
  bytes INTEGER NOT NULL,
  bytes_done INTEGER NOT NULL,
  title TEXT NOT NULL,
  destination BLOB,
  code TEXT,
  message TEXT,
  path TEXT,
  rate INTEGER NOT NULL,
  position INTEGER NOT NULL,
  created_at INTEGER NOT NULL,
  finished_at INTEGER NOT NULL, missed INTEGER NOT NULL DEFAULT 0, hidden INTEGER NOT NULL DEFAULT 0, words TEXT NOT NULL DEFAULT ''
) STRICT, WITHOUT ROWID;
CREATE INDEX transfers_by_state ON transfers (state, position);
CREATE INDEX transfers_by_end ON transfers (finished_at DESC, id);
CREATE TABLE manifests (
  transfer BLOB NOT NULL PRIMARY KEY REFERENCES transfers ON DELETE CASCADE,
  encoded BLOB NOT NULL
) STRICT;
CREATE TABLE roots (
  transfer BLOB NOT NULL REFERENCES transfers ON DELETE CASCADE,
  n INTEGER NOT NULL,
  path BLOB NOT NULL,
  PRIMARY KEY (transfer, n)
) STRICT, WITHOUT ROWID;
CREATE TABLE receipts (
  transfer BLOB NOT NULL PRIMARY KEY,
  receipt BLOB NOT NULL,
  expires_at INTEGER NOT NULL
) STRICT;
CREATE TABLE checkpoints (
  transfer BLOB NOT NULL PRIMARY KEY REFERENCES transfers ON DELETE CASCADE,
  stage INTEGER NOT NULL,
  file INTEGER NOT NULL,
  offset INTEGER NOT NULL,
  sha_state BLOB NOT NULL,
  part_inode INTEGER NOT NULL,
  part_mtime_ns INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE TABLE names (
  transfer BLOB NOT NULL REFERENCES transfers ON DELETE CASCADE,
  entry INTEGER NOT NULL,
  name TEXT NOT NULL,
  PRIMARY KEY (transfer, entry)
) STRICT, WITHOUT ROWID;
CREATE TABLE digests (
  transfer BLOB NOT NULL REFERENCES transfers ON DELETE CASCADE,
  first INTEGER NOT NULL,
  digests BLOB NOT NULL,
  PRIMARY KEY (transfer, first)
) STRICT;
INSERT INTO settings VALUES ('name', 'fixture');
INSERT INTO contacts VALUES (zeroblob (32), 'someone', 0, 1, 5000, 1700000000, 0, 0, 0);
INSERT INTO contact_rendezvous VALUES (zeroblob (32), 0, 'wss://meet.example/');
INSERT INTO invitations VALUES ('look-up', zeroblob (16), 'wss://meet.example/', '', 1700000000, 1700086400);
INSERT INTO transfers VALUES (x'00000000000000000000000000000001', zeroblob (32), 'someone', 1, 2, 1, 5, 0, 'a file', x'2f746d70', NULL, NULL, NULL, 0, 1, 1700000000, 0, 0, 0, 'someone
a file');
INSERT INTO transfers VALUES (x'00000000000000000000000000000002', zeroblob (32), 'someone', 0, 4, 1, 5, 5, 'another', NULL, '', NULL, 'lan', 100, 2, 1700000000, 1700000001, 0, 0, 'someone
another');
INSERT INTO manifests VALUES (x'00000000000000000000000000000001', x'0100000000');
INSERT INTO checkpoints VALUES (x'00000000000000000000000000000001', 0, 0, 3, zeroblob (112), 7, 8);
INSERT INTO receipts VALUES (x'00000000000000000000000000000002', x'00', 1702592001);
PRAGMA user_version = 4;
