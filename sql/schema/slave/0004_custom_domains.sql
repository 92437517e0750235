-- Host names of sub-accounts. Who asks for one proves with `token`, in the DNS, that it is theirs; until then several
-- tenants may ask for the same name, and it leads nowhere. A name whose proof is gone leads on for a while. `reached_at` is
-- when the first request came by it: from then on links are made with it.
create table custom_domain (
  name          text    not null,
  tenant_id     text    not null references tenant (id) on delete cascade,
  token         text    not null,
  verified_at   integer,
  checked_at    integer,
  missing_since integer,
  reached_at    integer,
  reason        text,
  created_at    integer not null,
  primary key (name, tenant_id)
);

create unique index custom_domain_verified on custom_domain (name) where verified_at is not null;
create index custom_domain_tenant on custom_domain (tenant_id, created_at);
