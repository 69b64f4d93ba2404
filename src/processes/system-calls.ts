/**
 * The filter of system calls that everything in a sandbox runs under (seccomp(2), Linux kernel documentation: userspace-api/seccomp_filter.rst).
 * It takes away what no app needs and what has most often led out of sandboxes: name spaces of one's own (with all rights in them), mounts, keys of
 * the kernel, tracing of the kernel, io_uring, and sockets of families that no network name space fences (vsock reaches the machine's host).
 */

interface Architecture {
  /** AUDIT_ARCH_…, linux/audit.h. */
  readonly audit: number;
  readonly clone: number;
  readonly socket: number;
  readonly socketPair: number;
  readonly refused: readonly number[];
}

/** The same number everywhere: io_uring, open_tree to fspick, mount_setattr, quotactl_fd, open_tree_attr. */
const sameEverywhere = [425, 426, 427, 428, 429, 430, 431, 432, 433, 442, 443, 467];
const clone3 = 435;

/** Numbers of: unshare setns mount umount2 pivot_root chroot bpf perf_event_open userfaultfd keyctl add_key request_key kexec_load kexec_file_load init_module finit_module delete_module open_by_handle_at swapon swapoff reboot quotactl acct syslog fanotify_init. */
const architectures: Readonly<Record<string, Architecture>> = {
  x64: {
    audit: 0xc000003e,
    clone: 56,
    socket: 41,
    socketPair: 53,
    refused: [
      272, 308, 165, 166, 155, 161, 321, 298, 323, 250, 248, 249, 246, 320, 175, 313, 176, 304, 167, 168, 169, 179, 163,
      103, 300,
      // iopl, ioperm
      172, 173,
    ],
  },
  arm64: {
    audit: 0xc00000b7,
    clone: 220,
    socket: 198,
    socketPair: 199,
    refused: [
      97, 268, 40, 39, 41, 51, 280, 241, 282, 219, 217, 218, 104, 294, 105, 273, 106, 265, 224, 225, 142, 60, 89, 116,
      262,
    ],
  },
};

/** CLONE_NEWNS, NEWCGROUP, NEWUTS, NEWIPC, NEWUSER, NEWPID and NEWNET. */
const newNameSpaces = 0x7e020000;
/** AF_UNIX, AF_INET, AF_INET6; AF_NETLINK, by which a program lists its own network. */
const families = [1, 2, 10, 16];

const operation = { load: 0x20, equal: 0x15, atLeast: 0x35, anyBit: 0x45, answer: 0x06 } as const;
const field = { number: 0, architecture: 4, firstArgument: 16 } as const;
const allow = 0x7fff0000;
const killProcess = 0x80000000;
const refuse = (errno: number): number => 0x00050000 | errno;
const EPERM = 1;
const ENOSYS = 38;
const EAFNOSUPPORT = 97;

type Instruction = readonly [code: number, ifTrue: number, ifFalse: number, value: number];

/** @returns the filter as bubblewrap's `--seccomp` reads it; undefined: not known for this architecture (`process.arch`) */
export function systemCallFilter(arch: string): Buffer | undefined {
  const known = architectures[arch];
  if (!known) return undefined;
  const program: Instruction[] = [
    [operation.load, 0, 0, field.architecture],
    // Another table of numbers could mean anything.
    [operation.equal, 1, 0, known.audit],
    [operation.answer, 0, 0, killProcess],
    [operation.load, 0, 0, field.number],
    // On x86-64 the x32 calls, which have numbers of their own.
    [operation.atLeast, 0, 1, 0x40000000],
    [operation.answer, 0, 0, refuse(ENOSYS)],
    // Its flags lie in memory, where no filter can look; libraries fall back to clone.
    [operation.equal, 0, 1, clone3],
    [operation.answer, 0, 0, refuse(ENOSYS)],
    ...[...known.refused, ...sameEverywhere].flatMap((number): Instruction[] => [
      [operation.equal, 0, 1, number],
      [operation.answer, 0, 0, refuse(EPERM)],
    ]),
    [operation.equal, 0, 4, known.clone],
    [operation.load, 0, 0, field.firstArgument],
    [operation.anyBit, 0, 1, newNameSpaces],
    [operation.answer, 0, 0, refuse(EPERM)],
    [operation.answer, 0, 0, allow],
    // socketpair knows families as well.
    [operation.equal, 2, 0, known.socket],
    [operation.equal, 1, 0, known.socketPair],
    [operation.answer, 0, 0, allow],
    [operation.load, 0, 0, field.firstArgument],
    ...families.flatMap((family): Instruction[] => [
      [operation.equal, 0, 1, family],
      [operation.answer, 0, 0, allow],
    ]),
    [operation.answer, 0, 0, refuse(EAFNOSUPPORT)],
  ];
  const bytes = Buffer.alloc(program.length * 8);
  program.forEach(([code, ifTrue, ifFalse, value], index) => {
    bytes.writeUInt16LE(code, index * 8);
    bytes.writeUInt8(ifTrue, index * 8 + 2);
    bytes.writeUInt8(ifFalse, index * 8 + 3);
    bytes.writeUInt32LE(value, index * 8 + 4);
  });
  return bytes;
}
