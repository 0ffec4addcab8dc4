--liquibase formatted sql
--changeset tools:1
CREATE TABLE `@TABLE@` (id bigint NOT NULL PRIMARY KEY, name varchar(64) NOT NULL);
INSERT INTO `@TABLE@` (id, name) VALUES (1, 'item 1'), (2, 'item 2'), (3, 'item 3');
--rollback DROP TABLE `@TABLE@`;
