"""The process that sandbox.py runs a program in; it uses nothing of this package.

It reads the program from the standard input, gives up everything that the program must not have, runs it, and writes to the
standard output how that ended.
"""

import ctypes
import errno
import json
import os
import platform
import resource
import signal
import sys

# Numbers of system calls that a computation needs: reading files that are open or can be opened for reading, memory, time.
# Not among them: everything that makes or changes files, processes, threads, sockets or limits.
X86_64 = """
    read 0, write 1, close 3, stat 4, fstat 5, lstat 6, poll 7, lseek 8, mmap 9, mprotect 10, munmap 11, brk 12,
    rt_sigaction 13, rt_sigprocmask 14, rt_sigreturn 15, pread64 17, readv 19, writev 20, access 21, select 23,
    sched_yield 24, mremap 25, madvise 28, dup 32, nanosleep 35, getpid 39, exit 60, uname 63, getcwd 79, readlink 89,
    gettimeofday 96, getrlimit 97, getrusage 98, sysinfo 99, times 100, getuid 102, getgid 104, geteuid 107, getegid 108,
    sigaltstack 131, arch_prctl 158, gettid 186, time 201, futex 202, sched_getaffinity 204, getdents64 217,
    restart_syscall 219, clock_gettime 228, clock_getres 229, clock_nanosleep 230, exit_group 231, newfstatat 262,
    readlinkat 267, faccessat 269, pselect6 270, ppoll 271, set_robust_list 273, getrandom 318, statx 332, rseq 334,
    faccessat2 439"""
AARCH64 = """
    getcwd 17, dup 23, faccessat 48, close 57, getdents64 61, lseek 62, read 63, write 64, readv 65, writev 66, pread64 67,
    pselect6 72, ppoll 73, readlinkat 78, newfstatat 79, fstat 80, exit 93, exit_group 94, futex 98, set_robust_list 99,
    nanosleep 101, clock_gettime 113, clock_getres 114, clock_nanosleep 115, sched_getaffinity 123, sched_yield 124,
    restart_syscall 128, sigaltstack 132, rt_sigaction 134, rt_sigprocmask 135, rt_sigreturn 139, times 153, uname 160,
    getrlimit 163, getrusage 165, gettimeofday 169, getpid 172, getuid 174, geteuid 175, getgid 176, getegid 177,
    gettid 178, sysinfo 179, brk 214, munmap 215, mremap 216, mmap 222, mprotect 226, madvise 233, getrandom 278,
    statx 291, rseq 293, faccessat2 439"""
# Name of the machine: its number in the kernel's audit interface, the calls, and openat, which may open for reading.
MACHINES = {"x86_64": (0xC000003E, X86_64, 257), "aarch64": (0xC00000B7, AARCH64, 56)}

WRITES = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC
LOAD, EQUAL, ANY_BIT, RETURN = 0x20, 0x15, 0x45, 0x06
ALLOW, REFUSE = 0x7FFF0000, 0x00050000 | errno.EPERM
PR_SET_NO_NEW_PRIVS, PR_SET_SECCOMP, SECCOMP_MODE_FILTER = 38, 22, 2


class Instruction(ctypes.Structure):
    _fields_ = [("code", ctypes.c_uint16), ("jt", ctypes.c_uint8), ("jf", ctypes.c_uint8), ("k", ctypes.c_uint32)]


class Program(ctypes.Structure):
    _fields_ = [("len", ctypes.c_uint16), ("filter", ctypes.POINTER(Instruction))]


def instructions(machine: str) -> "list[tuple[int, int, int, int]]":
    """The filter, a classic BPF program over struct seccomp_data: number at 0, machine at 4, third argument at 32."""
    number, calls, openat = MACHINES[machine]
    allowed = [int(call.split()[1]) for call in calls.split(",")]
    # The end: openat's flags, refuse, allow.
    end = [(LOAD, 0, 0, 32), (ANY_BIT, 0, 1, WRITES), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
    count = len(allowed)
    compare = [(EQUAL, count - place + 3, 0, call) for place, call in enumerate(allowed)]
    return [
        (LOAD, 0, 0, 4),
        (EQUAL, 1, 0, number),
        (RETURN, 0, 0, REFUSE),
        (LOAD, 0, 0, 0),
        *compare,
        (EQUAL, 0, 2, openat),
        *end,
    ]


def forbid() -> None:
    """Lets only those system calls through from now on.

    Raises:
        OSError: the kernel cannot. KeyError: another kind of machine.
    """
    listed = instructions(platform.machine())
    filters = (Instruction * len(listed))(*[Instruction(*each) for each in listed])
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    prctl.argtypes = [ctypes.c_int] + [ctypes.c_ulong] * 4
    program = Program(len(listed), filters)
    for words in (
        (PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0),
        (PR_SET_SECCOMP, SECCOMP_MODE_FILTER, ctypes.addressof(program), 0, 0),
    ):
        if prctl(*words) != 0:
            raise OSError(ctypes.get_errno(), "prctl: " + os.strerror(ctypes.get_errno()))


def limit(timeout: float, memory: int) -> None:
    seconds = max(1, int(timeout + 0.999))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (65536, 65536))
    resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def main() -> None:
    task = json.loads(sys.stdin.buffer.read())
    report = os.dup(1)
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.dup2(nothing, 1)
    os.close(nothing)

    def say(text: str) -> None:
        os.write(report, text.encode("utf-8", "replace")[:2000])

    try:
        # What compiling and tracing an error need later is loaded while it can be.
        compile("", "<program>", "exec")
        signal.signal(signal.SIGXCPU, signal.SIG_DFL)
        limit(task["timeout"], task["memory"])
        forbid()
    except Exception as error:  # noqa: BLE001 - whatever it is, the program must not run
        say(f"unlimited {type(error).__name__}: {error}")
        os._exit(1)
    try:
        exec(compile(task["program"], "<program>", "exec"), {})  # noqa: S102 - that is what this process is for
        outcome = "passed"
    except SystemExit:
        outcome = "failed: ended early"
    except BaseException as error:  # noqa: BLE001 - the program may raise anything
        outcome = f"failed: {type(error).__name__}"
        try:
            message = str(error.msg if isinstance(error, SyntaxError) else error).split("\n")[0][:500]
        except BaseException:  # noqa: BLE001 - from the program's own __str__
            message = ""
        if message:
            outcome += f": {message}"
    say(f"{task['token']} {outcome}")
    os._exit(0)


if __name__ == "__main__":
    main()
