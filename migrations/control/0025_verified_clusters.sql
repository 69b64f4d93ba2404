-- Which server was rebuilt.
ALTER TABLE drills ADD COLUMN cluster text NOT NULL DEFAULT 'main';

-- The server whose base backup was restored: a private server's says nothing about the main one's, nor the other way round. Of dumps: not used.
ALTER TABLE verifications ADD COLUMN cluster text NOT NULL DEFAULT 'main';
