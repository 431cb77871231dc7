// OptionDescriptionTests.swift -- what xverse_options_describe tells beyond the keys, and that xverse.h says the same.

import CXverse
import Foundation
import Testing

extension ABI {
  @Suite("Descriptions of options")
  struct OptionDescriptionTests {
    @Test("the header tells the choices of a key", arguments: OptionKey.all)
    func headerChoices(key: OptionKey) throws {
      let block = try #require(HeaderOptions.all.first { $0.kind == key.kind })
      let entry = try #require(block.entries.first { $0.key == key.name }, "xverse.h has no '\(key.name)'")
      #expect(key.choices == nil || key.defaultChoice != nil || entry.text.contains("default: "), "'\(key.name)'")
      #expect(entry.choices == key.choices?.split(separator: "|").map(String.init), "'\(key.name)'")
    }

    @Test("the header has a constant and a block for every kind, and no others")
    func headerKinds() throws {
      let kinds = HeaderOptions.kinds(in: try Declaration.header())
      #expect(HeaderOptions.all.map(\.name).sorted() == kinds.keys.sorted())
      #expect(Set(OptionKey.all.map(\.kind)) == Set(kinds.values))
    }

    @Test("lists of keys, lists and sentences of choices are read from a header's text")
    func headerParsing() throws {
      let text = """
        /* Options.
         *
         * RUNTIME   first               a | b:FACTOR: what it does; c: no choice
         * CONVERT   of another kind; defaults are these
         *           second              on: it does.  off:
         *                               it does not. auto: it may
         *           third first         as for RUNTIME
         */
        enum { XVERSE_OPTIONS_RUNTIME = 1, XVERSE_OPTIONS_CONVERT = 6 };
        """
      let blocks = HeaderOptions.parse(text)
      #expect(blocks.map(\.kind) == [1, 6])
      #expect(blocks.map { $0.entries.map(\.key) } == [["first"], ["second", "third", "first"]])
      #expect(blocks[0].entries[0].choices == ["a", "b:"])
      #expect(blocks[1].entries.map(\.choices) == [["on", "off", "auto"], nil, ["a", "b:"]])
    }

    @Test(
      "describe tells units and defaults",
      arguments: [
        (XVERSE_OPTIONS_RUNTIME, "threads", "threads", .nan, nil),
        (XVERSE_OPTIONS_RUNTIME, "memory_limit", "bytes", 0, nil),
        (XVERSE_OPTIONS_RUNTIME, "isa", "", .nan, "auto"), (XVERSE_OPTIONS_MODEL, "quantize", "", .nan, "none"),
        (XVERSE_OPTIONS_MODEL, "load", "", .nan, "mmap"), (XVERSE_OPTIONS_MODEL, "verify", "", .nan, "header"),
        (XVERSE_OPTIONS_MODEL, "rope_scaling", "", .nan, nil), (XVERSE_OPTIONS_MODEL, "rope_theta", "", .nan, nil),
        (XVERSE_OPTIONS_SESSION, "context", "tokens", .nan, nil), (XVERSE_OPTIONS_SESSION, "kv_type", "", .nan, "f32"),
        (XVERSE_OPTIONS_SESSION, "overflow", "", .nan, "error"), (XVERSE_OPTIONS_SAMPLING, "do_sample", "", .nan, nil),
        (XVERSE_OPTIONS_SAMPLING, "temperature", "", .nan, nil), (XVERSE_OPTIONS_SAMPLING, "top_p", "", .nan, nil),
        (XVERSE_OPTIONS_SAMPLING, "top_k", "tokens", .nan, nil), (XVERSE_OPTIONS_SAMPLING, "seed", "", -1, nil),
        (XVERSE_OPTIONS_SAMPLING, "max_new_tokens", "tokens", .nan, nil),
        (XVERSE_OPTIONS_SAMPLING, "presence_penalty", "", 0, nil),
        (XVERSE_OPTIONS_SAMPLING, "deadline_ms", "milliseconds", 0, nil),
        (XVERSE_OPTIONS_CONVERT, "max_shard_size", "bytes", 0, nil),
        (XVERSE_OPTIONS_CONVERT, "format", "", .nan, "safetensors"), (XVERSE_OPTIONS_CONVERT, "type", "", .nan, "f16"),
        (XVERSE_OPTIONS_SCORE, "bos", "", 0, nil), (XVERSE_OPTIONS_SCORE, "windows", "windows", 0, nil),
      ] as [(Int, String, String, Double, String?)])
    func unitsAndDefaults(kind: Int, name: String, unit: String, number: Double, choice: String?) throws {
      let key = try #require(OptionKey.all.first { $0.kind == kind && $0.name == name })
      #expect(key.unit == unit)
      #expect(key.def == number || (key.def.isNaN && number.isNaN))
      #expect(key.defaultChoice == choice)
    }

    @Test("describe leaves what follows the struct of an older program alone", arguments: OptionKey.all)
    func olderStruct(key: OptionKey) throws {
      let size = try #require(MemoryLayout<xverse_option_info>.offset(of: \.unit))
      #expect(size == 56)
      let memory = UnsafeMutableRawPointer.allocate(byteCount: 128, alignment: 8)
      defer { memory.deallocate() }
      memset(memory, 0xA5, 128)
      memory.storeBytes(of: UInt32(size), as: UInt32.self)
      let info = memory.assumingMemoryBound(to: xverse_option_info.self)
      expect(xverse_options_describe(Int32(key.kind), key.index, info), is: XVERSE_OK)
      #expect(info.pointee.key.map { String(cString: $0) } == key.name)
      #expect(info.pointee.def.bitPattern == key.def.bitPattern)
      #expect(info.pointee.size == UInt32(size))
      #expect((size..<128).allSatisfy { memory.load(fromByteOffset: $0, as: UInt8.self) == 0xA5 })
    }
  }
}
