CREATE TABLE demo (
  id bigint NOT NULL,
  status varchar(32) DEFAULT NULL,
  PRIMARY KEY (id)
);
