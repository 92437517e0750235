-- name: any-free
-- Who waits looks without the write lock.
select 1 from password_work where turn <= ?1 and taken_until <= ?2 limit 1;

-- name: take
-- One free turn for whoever asks first; it is free again when the time is over, should the taker have died.
update password_work set token = ?1, taken_until = ?2
where turn = (select min(turn) from password_work where turn <= ?4 and taken_until <= ?3) and taken_until <= ?3;

-- name: give-back
update password_work set taken_until = 0 where token = ?1 and taken_until > 0;
