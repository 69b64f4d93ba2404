/**
 * rpc: calls between the processes of one machine, over a unix socket, in both directions.
 * Newline-delimited JSON, at most 1 MiB a message; whoever sends anything else is dropped. The socket's file mode says who may connect.
 * Errors cross as code, title, status, detail and hint, never their cause. Messages are never logged: they may hold secrets.
 * Called by: control and gateways (link.sock), control and the command line (command.sock).
 */
export { connectRpc, type RpcClientOptions } from './client.ts';
export { parseWireError, rpcErrors, toWireError, type WireError } from './errors.ts';
export { createRpcServer, type RpcServerOptions } from './server.ts';
export type * from './types.ts';
