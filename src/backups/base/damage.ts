import { groupOf } from './file-sets.ts';

/**
 * Reads the server's warnings about pages that fail their checksum, which pg_basebackup passes on. It then ends with an error although it has
 * written everything; the text is English, because our servers speak English (`lc_messages`).
 */
export function createDamageReader() {
  const files = new Set<string>();
  let lastError = '';
  return {
    read(line: string): void {
      const file =
        /checksum verification fail.*?file "(?:\.\/)?([^"]+)"|file "(?:\.\/)?([^"]+)" has a total of \d+ checksum/.exec(
          line,
        );
      if (file) files.add((file[1] ?? file[2])!);
      else if (/error:|ERROR:|FATAL:/.test(line)) lastError = line;
    },
    /** Last error that the tool gave. */
    lastError: () => lastError,
    isDamaged: () => files.size > 0,
    /** Damaged files of a database, or of everything else; undefined when there is none. */
    filesOf(group: number | 'shared'): readonly string[] | undefined {
      const found = [...files].filter((file) => groupOf(file) === group).sort();
      return found.length > 0 ? found : undefined;
    },
  };
}
