-- The app's tables that the workflow writes to, and the user of params.json.
CREATE TABLE Project (
  id TEXT PRIMARY KEY,
  name TEXT NOT NULL,
  orgId TEXT NOT NULL
);

CREATE TABLE AuthIdentity (
  id TEXT PRIMARY KEY,
  email TEXT NOT NULL,
  onboardingComplete INTEGER NOT NULL DEFAULT 0
);

INSERT INTO AuthIdentity (id, email) VALUES ('user_1', 'ada@example.com');
