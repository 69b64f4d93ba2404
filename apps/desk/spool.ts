/**
 * Answers made while they are written, of unknown size: the content goes through the tenant's files (sealed, bounded memory)
 * and is sent from there. So the size is known before the first byte is sent, and a fault in the middle is a clean refusal, never half a file.
 */
import type { AppContext, RouteResult } from '../sdk/index.ts';
import { forgetFileLater, removeFile } from './unused-files.ts';

const maxBytes = 1024 ** 3;

export async function sendSpooled(
  context: AppContext,
  info: { name: string; mediaType: string },
  lines: AsyncIterable<string>,
): Promise<RouteResult> {
  const { id } = await context.files.put(encode(lines), { ...info, maxBytes });
  // Noted before it is sent: a crash leaves nothing behind for longer than that.
  await forgetFileLater(context, id);
  const opened = await context.files.open(id);
  if (!opened) throw new Error('the file that was just written is gone');
  opened.content.once('close', () =>
    context.background('desk.spool.remove', (background) => removeFile(background, id)),
  );
  return { ...opened, disposition: 'attachment' };
}

async function* encode(lines: AsyncIterable<string>): AsyncGenerator<Uint8Array> {
  for await (const line of lines) if (line !== '') yield Buffer.from(line);
}
