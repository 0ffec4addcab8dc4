--liquibase formatted sql
--changeset tools:2
ALTER TABLE `@TABLE@` ADD COLUMN note varchar(100);
--rollback ALTER TABLE `@TABLE@` DROP COLUMN note;
