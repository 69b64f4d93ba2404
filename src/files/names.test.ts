import assert from 'node:assert/strict';
import { test } from 'node:test';
import { cleanFileName, cleanMediaType, objectNameOf } from './names.ts';

test('file names are shown and saved safely', () => {
  const cases: [string, string][] = [
    ['report.pdf', 'report.pdf'],
    ['C:\\Users\\me\\report.pdf', 'report.pdf'],
    ['../../etc/passwd', 'passwd'],
    ['a\r\nSet-Cookie: x', 'aSet-Cookie: x'],
    ['invoice\u202efdp.exe', 'invoicefdp.exe'],
    ['e\u0301.txt', 'é.txt'],
    ['..', 'file'],
    ['/', 'file'],
    ['', 'file'],
    ['\ud800.txt', '\ufffd.txt'],
    ['日本語.png', '日本語.png'],
  ];
  for (const [name, expected] of cases) assert.equal(cleanFileName(name), expected, JSON.stringify(name));
  const long = cleanFileName(`${'ü'.repeat(300)}.tar.gz`);
  assert.ok(Buffer.byteLength(long) <= 255 && long.endsWith('ü.gz'), long);
  assert.ok(Buffer.byteLength(cleanFileName('x'.repeat(10_000))) === 255);
});

test('media types are lower case without parameters', () => {
  assert.equal(cleanMediaType('Text/HTML; charset=utf-8'), 'text/html');
  for (const odd of ['', 'text', 'a/b/c', 'text/plain\r\nx: y', '../etc'])
    assert.equal(cleanMediaType(odd), 'application/octet-stream', odd);
});

test("an object's name depends on tenant, key and content", () => {
  const name = objectNameOf('ten_a', Buffer.alloc(32, 1), 'aa');
  assert.match(name, /^ten_a\/([0-9a-f]{2})\/\1[0-9a-f]{62}$/);
  assert.notEqual(name, objectNameOf('ten_a', Buffer.alloc(32, 2), 'aa'));
  assert.notEqual(name, objectNameOf('ten_a', Buffer.alloc(32, 1), 'ab'));
});
