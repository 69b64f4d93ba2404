/** A name quoted for SQL, for the places where the grammar takes no $1. */
export function quoteIdentifier(name: string): string {
  if (name.includes('\0')) throw new TypeError('a name holds a zero byte');
  return `"${name.replaceAll('"', '""')}"`;
}

/** A text quoted for SQL, for utility statements, which take no $1. */
export function quoteLiteral(text: string): string {
  if (text.includes('\0')) throw new TypeError('a text holds a zero byte');
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? ` E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
