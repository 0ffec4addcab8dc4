CREATE TABLE customer (
  id bigint NOT NULL,
  email varchar(128),
  PRIMARY KEY (id)
);
