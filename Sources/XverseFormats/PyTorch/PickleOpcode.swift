// PickleOpcode.swift -- the opcodes of Python's pickle format: those with which torch.save writes tensors, and the names of
// all others (Python's pickletools).

/// The opcodes that are read.
enum PickleOpcode: UInt8 {
  case mark = 0x28
  case emptyTuple = 0x29
  case stop = 0x2E
  case binBytes = 0x42
  case shortBinBytes = 0x43
  case binFloat = 0x47
  case binInt = 0x4A
  case binInt1 = 0x4B
  case binInt2 = 0x4D
  case none = 0x4E
  case binPersistentID = 0x51
  case reduce = 0x52
  case binUnicode = 0x58
  case emptyList = 0x5D
  case append = 0x61
  case build = 0x62
  case global = 0x63
  case appends = 0x65
  case binGet = 0x68
  case longBinGet = 0x6A
  case binPut = 0x71
  case longBinPut = 0x72
  case setItem = 0x73
  case tuple = 0x74
  case setItems = 0x75
  case emptyDict = 0x7D
  case version = 0x80
  case tuple1 = 0x85
  case tuple2 = 0x86
  case tuple3 = 0x87
  case newTrue = 0x88
  case newFalse = 0x89
  case long1 = 0x8A
  case long4 = 0x8B
  case shortBinUnicode = 0x8C
  case binUnicode8 = 0x8D
  case binBytes8 = 0x8E
  case stackGlobal = 0x93
  case memoize = 0x94
  case frame = 0x95

  /// Makes an object of a class whose name follows.
  static let instance: UInt8 = 0x69

  /// The name of an opcode that is not read; nil for a byte that is none.
  static func refusedName(_ byte: UInt8) -> String? {
    switch byte {
    case 0x30: "POP"
    case 0x31: "POP_MARK"
    case 0x32: "DUP"
    case 0x46: "FLOAT"
    case 0x49: "INT"
    case 0x4C: "LONG"
    case 0x50: "PERSID"
    case 0x53: "STRING"
    case 0x54: "BINSTRING"
    case 0x55: "SHORT_BINSTRING"
    case 0x56: "UNICODE"
    case 0x64: "DICT"
    case 0x67: "GET"
    case instance: "INST"
    case 0x6C: "LIST"
    case 0x6F: "OBJ"
    case 0x70: "PUT"
    case 0x81: "NEWOBJ"
    case 0x82: "EXT1"
    case 0x83: "EXT2"
    case 0x84: "EXT4"
    case 0x8F: "EMPTY_SET"
    case 0x90: "ADDITEMS"
    case 0x91: "FROZENSET"
    case 0x92: "NEWOBJ_EX"
    case 0x96: "BYTEARRAY8"
    case 0x97: "NEXT_BUFFER"
    case 0x98: "READONLY_BUFFER"
    default: nil
    }
  }
}
