/** Keys whose values never reach a log line, whatever their depth. Tested in redaction.test.ts. */
const secretKeys =
  /^(password|new_?password|current_?password|token|invitation_?token|secret|cookie|set-cookie|authorization|session_?token|private_?key|key|pass|passphrase|connection_?string|invitation_?url|setup_?url)$/i;

const isSecretByKey = new Map<string, boolean>();

/** The same few field names come with every line; names of strangers, should they come as fields, cannot fill the memory. */
function isSecret(key: string): boolean {
  let known = isSecretByKey.get(key);
  if (known === undefined) {
    known = secretKeys.test(key);
    if (isSecretByKey.size < 1_000) isSecretByKey.set(key, known);
  }
  return known;
}

/** A deep copy of `value` for the log: secrets replaced, depth and size bounded. */
export function redact(value: unknown, depth = 0): unknown {
  if (typeof value === 'string') return redactText(value);
  if (value === null || typeof value !== 'object') return value;
  if (depth > 6) return '[deep]';
  if (value instanceof Error) {
    const { name, message, stack, cause } = value;
    const code = (value as { code?: unknown }).code;
    return {
      name,
      message: redactText(message),
      code,
      stack: stack ? redactText(stack) : undefined,
      cause: cause === undefined ? undefined : redact(cause, depth + 1),
    };
  }
  if (value instanceof Uint8Array) return `[${value.byteLength} bytes]`;
  if (Array.isArray(value)) return value.slice(0, 100).map((item) => redact(item, depth + 1));
  const copy: Record<string, unknown> = {};
  for (const [key, item] of Object.entries(value)) {
    copy[key] = isSecret(key) && item != null ? '[redacted]' : redact(item, depth + 1);
  }
  return copy;
}

/** Removes what looks like a secret inside free text: URL passwords, one-time link tokens, sealed cookies, API tokens. */
export function redactText(text: string): string {
  // All of them have one of these; most values of a log line, ids and numbers as words, have none.
  if (!/[/#=]|fh[ps]_/.test(text)) return text;
  return text
    .replace(/(\b[a-z][a-z0-9+.-]*:\/\/[^\s:/@]+:)[^\s@]+@/gi, '$1[redacted]@')
    .replace(/(\/(?:invitations|setup|invite)\/)[A-Za-z0-9_-]{16,}/g, '$1[redacted]')
    .replace(/(#(?:invitation|setup)=)[A-Za-z0-9_-]{16,}/g, '$1[redacted]')
    .replace(/(__Host-freehold[a-z-]*=)[^;\s]+/g, '$1[redacted]')
    .replace(/(fh[ps]_)[0-9A-Za-z]+/g, '$1[redacted]');
}
