// HostilePathTests.swift -- paths that no model has, and things that are no files at them.

import CXverse
import Foundation
import TestSupport
import Testing

extension ABI {
  @Suite("Hostile paths")
  struct HostilePathTests {
    @Test(
      "paths that are no model",
      arguments: [
        ("", XVERSE_E_INVALID, "empty"), ("/nowhere/at/all", XVERSE_E_NOTFOUND, "/nowhere/at/all"),
        ("/dev/null", XVERSE_E_UNSUPPORTED, "device"), ("/dev/zero", XVERSE_E_UNSUPPORTED, "device"),
        ("/proc/self", XVERSE_E_NOTFOUND, "config.json"), ("/etc/passwd", XVERSE_E_UNSUPPORTED, ".safetensors"),
        (String(repeating: "p/", count: 3000), XVERSE_E_INVALID, "6000 bytes"),
        (String(repeating: "p", count: 300), XVERSE_E_INVALID, "ppp"),
        ("new\nline", XVERSE_E_NOTFOUND, "\\u{a}"),
      ])
    func oddPaths(path: String, status: Int, word: String) {
      var out = OpaquePointer(bitPattern: 16)
      expect(xverse_model_open(path, nil, &out), is: status, saying: word)
      #expect(out == nil)
      #expect(!lastMessage.contains("\n"))
      out = OpaquePointer(bitPattern: 16)
      #expect(xverse_tokenizer_open(path, &out) < 0)
      #expect(out == nil)
    }

    @Test("a path in another encoding than UTF-8 is looked for as it is")
    func pathThatIsNotUTF8() {
      let path: [CChar] = [0x2F, -1, -2, 0]
      var out: OpaquePointer?
      expect(xverse_model_open(path, nil, &out), is: XVERSE_E_NOTFOUND, saying: "/\u{FFFD}\u{FFFD}")
    }

    @Test("what is no file is refused without waiting for it")
    func specialFiles() throws {
      let directory = try ModelDirectory()
      let places = ["fifo", "socket", "loop", "nothing", "empty"].map { directory.file($0 + ".safetensors") }
      try #require(mkfifo(places[0], 0o600) == 0)
      let socket = try UnixSocket(path: places[1])
      try #require(symlink(places[2], places[2]) == 0)
      try #require(symlink(directory.file("missing"), places[3]) == 0)
      try directory.write("empty.safetensors", "")
      let expected = [
        (XVERSE_E_UNSUPPORTED, "a FIFO"), (XVERSE_E_UNSUPPORTED, "a socket"), (XVERSE_E_IO, "loop"),
        (XVERSE_E_NOTFOUND, "nothing.safetensors"), (XVERSE_E_CORRUPT, "empty"),
      ]
      for (place, (status, word)) in zip(places, expected) {
        var out = OpaquePointer(bitPattern: 16)
        expect(xverse_model_open(place, nil, &out), is: status, saying: word)
        #expect(out == nil)
        expect(xverse_tokenizer_open(place, &out), is: status, saying: word)
        expect(convert(place, directory.file("out")), is: status, saying: word)
        #expect(!FileManager.default.fileExists(atPath: directory.file("out")))
      }
      withExtendedLifetime(socket) {}
    }

    @Test("a file that may not be read is IO and named")
    func noPermission() throws {
      let directory = try ModelDirectory()
      let name = "tokenizer.json"
      try #require(chmod(directory.file(name), 0) == 0)
      // Root, who may read everything, becomes somebody else; of this thread alone.
      let setUser = try #require(dlsym(nil, "setfsuid").map { unsafeBitCast($0, to: SetUser.self) })
      _ = setUser(65534)
      defer { _ = setUser(geteuid()) }
      let descriptor = open(directory.file(name), O_RDONLY)
      guard descriptor < 0 else {
        close(descriptor)
        return
      }
      var out = OpaquePointer(bitPattern: 16)
      expect(xverse_model_open(directory.path, nil, &out), is: XVERSE_E_IO, saying: name, "Permission denied")
      #expect(out == nil)
    }

    @Test("a path with a NUL, which only an option can hold, is INVALID")
    func pathWithNUL() throws {
      let directory = try ModelDirectory()
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"quantize": "int8"}"#)
      let path = directory.file("config.json") + "\0.txt"
      try check(xverse_options_set_string(options.pointer, "calibration", path, path.utf8.count))
      var out = OpaquePointer(bitPattern: 16)
      expect(xverse_model_open(directory.path, options.pointer, &out), is: XVERSE_E_INVALID, saying: "NUL", #"\u{0}"#)
      #expect(out == nil)
    }

    @Test(
      "calibration texts that are no files",
      arguments: [
        ("/nowhere", XVERSE_E_NOTFOUND), ("/dev/zero", XVERSE_E_UNSUPPORTED), ("/proc/self", XVERSE_E_UNSUPPORTED),
      ])
    func calibrationPaths(path: String, status: Int) throws {
      let options = try makeOptions(XVERSE_OPTIONS_MODEL, #"{"quantize": "int8", "calibration": "\#(path)"}"#)
      let directory = try ModelDirectory()
      var out = OpaquePointer(bitPattern: 16)
      expect(xverse_model_open(directory.path, options.pointer, &out), is: status, saying: path)
      #expect(out == nil)
    }

    private typealias SetUser = @convention(c) (uid_t) -> Int32

    private func convert(_ source: String, _ destination: String) -> xverse_status {
      xverse_convert(nil, source, destination, nil, nil, nil, nil)
    }
  }
}

/// A socket with a place in the file system.
private final class UnixSocket {
  private let descriptor: Int32

  init(path: String) throws {
    descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
    var address = sockaddr_un()
    address.sun_family = sa_family_t(AF_UNIX)
    let bytes = Array(path.utf8)
    try #require(bytes.count < MemoryLayout.size(ofValue: address.sun_path))
    withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
    let status = withUnsafePointer(to: &address) { pointer in
      pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
        bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
      }
    }
    try #require(status == 0)
  }

  deinit { close(descriptor) }
}
