-- Which language a contact is written to in (core/src/language.rs), and each message the one that it was first written in: so
-- a repeat is the same, whatever has become of the contact.
ALTER TABLE contacts ADD COLUMN language TEXT NOT NULL DEFAULT 'en';
ALTER TABLE deliveries ADD COLUMN language TEXT NOT NULL DEFAULT 'en';
