/**
 * A condition that is always true: the commit of its statement is not waited for. It reaches the disk before whatever is committed later on the same
 * server, so it is for what nobody is told of before that (PostgreSQL, 30.4 Asynchronous Commit).
 */
export const lazily = `set_config('synchronous_commit', 'off', true) = 'off'`;
