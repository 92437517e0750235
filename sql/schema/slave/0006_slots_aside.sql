-- Slots that hold what no tenant here owns: the control database was lost, or an older copy of it was put back. Nobody gets
-- one of them before it is empty. `looked_at` is when that was last seen, in milliseconds.
create table slot_aside (
  slot      integer not null primary key,
  looked_at integer not null
);
