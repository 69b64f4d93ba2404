/** Relative, of plain characters, and leading nowhere else: what every file system and archive reads the same way. */
export function isPackagePath(path: string): boolean {
  return (
    path.length <= 200 &&
    path.split('/').length <= 16 &&
    path.split('/').every((part) => /^[A-Za-z0-9@_+.-]{1,100}$/.test(part) && part !== '.' && part !== '..')
  );
}
