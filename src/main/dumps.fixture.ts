import { chown, mkdir, readdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type Cluster, createCluster, startTool } from '#src/clusters/index.ts';
import type { OwnCluster } from '../../test/support/own-cluster.ts';

/** A server that streams from the own cluster, as the product's standby does. */
export async function startStandby(own: OwnCluster): Promise<Cluster> {
  const make = async (name: string) => {
    const made = path.join(own.folder, name);
    await mkdir(made, { mode: 0o700 });
    if (own.osUser) await chown(made, own.osUser.uid, own.osUser.gid);
    return made;
  };
  const { options } = own.cluster;
  const passFile = path.join(own.folder, 'standby.pass');
  await writeFile(passFile, `*:*:*:freehold_replication:${own.replication.password}\n`, { mode: 0o600 });
  if (own.osUser) await chown(passFile, own.osUser.uid, own.osUser.gid);
  const home = await make('second');
  const dataDir = path.join(home, 'data');
  const args = ['-D', dataDir, '--wal-method=stream', '--create-slot', '--slot=freehold_standby', '--checkpoint=fast'];
  const tool = await startTool(options.binaries, 'pg_basebackup', args, own.replication);
  tool.stdout.resume();
  await tool.done;
  for (const name of own.osUser ? ['', ...(await readdir(dataDir, { recursive: true }))] : [])
    await chown(path.join(dataDir, name), own.osUser!.uid, own.osUser!.gid);
  const cluster = createCluster({
    ...options,
    dataDir,
    socketDir: await make('run2'),
    logFile: path.join(await make('logs2'), 'postgres.log'),
    upstream: {
      socketDir: options.socketDir,
      port: options.port,
      passFile,
      handoverDir: path.join(own.folder, 'handover'),
    },
  });
  await cluster.start({ role: 'standby' });
  return cluster;
}
