// TokenizerFunctions.swift -- section 6 of xverse.h.

import CXverse
import XverseCore
import XverseLoading
import XverseTokenizers

@_cdecl("xverse_model_tokenizer")
public func xverse_model_tokenizer(_ model: OpaquePointer?) -> OpaquePointer? {
  var result: OpaquePointer?
  _ = reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(model, as: ModelHandle.self, "model")
    result = OpaquePointer(Unmanaged.passUnretained(handle.tokenizer).toOpaque())
  }
  return result
}

@_cdecl("xverse_tokenizer_open")
public func xverse_tokenizer_open(
  _ path: UnsafePointer<CChar>?, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  creating(out) { () throws(XverseError) in
    let file = try TokenizerDirectory(path: try XverseCAPI.path(path, "path"))
    return TokenizerHandle(file.tokenizer, file.specialTokens, isBorrowed: false)
  }
}

@_cdecl("xverse_tokenizer_release")
public func xverse_tokenizer_release(_ tokenizer: OpaquePointer?) {
  guard let handle = try? borrow(tokenizer, as: TokenizerHandle.self, "tokenizer"), !handle.isBorrowed else { return }
  releaseHandle(tokenizer)
}

@_cdecl("xverse_tokenizer_encode")
public func xverse_tokenizer_encode(
  _ tokenizer: OpaquePointer?, _ text: UnsafePointer<CChar>?, _ len: Int, _ flags: Int32,
  _ tokens: UnsafeMutablePointer<Int32>?, _ capacity: Int, _ n: UnsafeMutablePointer<Int>?
) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(tokenizer, as: TokenizerHandle.self, "tokenizer")
    let text = try XverseCAPI.text(text, len, "text")
    let known = Int32(XVERSE_ENCODE_BOS | XVERSE_ENCODE_SPECIAL)
    try checkFlags(flags, known: known)
    var encoded = Buffer<Int32>(allocator: handle.tokenizer.allocator)
    if flags & Int32(XVERSE_ENCODE_BOS) != 0 {
      guard let bos = handle.specialTokens?.bos else { throw .unsupported("XVERSE_ENCODE_BOS: there is no BOS token") }
      try encoded.append(bos)
    }
    let special = flags & Int32(XVERSE_ENCODE_SPECIAL) != 0
    try handle.tokenizer.encode(text, parsingSpecials: special, into: &encoded)
    try deliver(encoded.elements, to: tokens, capacity: capacity, count: n, "tokens")
  }
}

@_cdecl("xverse_tokenizer_decode")
public func xverse_tokenizer_decode(
  _ tokenizer: OpaquePointer?, _ tokens: UnsafePointer<Int32>?, _ n: Int, _ flags: Int32,
  _ text: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>?, _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  text?.pointee = nil
  return reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(tokenizer, as: TokenizerHandle.self, "tokenizer")
    let tokens = try array(tokens, n, "tokens")
    let text = try required(text, "text")
    var decoded = Buffer<UInt8>(allocator: handle.tokenizer.allocator)
    try handle.tokenizer.decode(tokens, skippingSpecials: try skipsSpecials(flags), into: &decoded)
    try deliver(UnsafeRawBufferPointer(decoded.elements), to: text, length: len)
  }
}

@_cdecl("xverse_tokenizer_vocab_size")
public func xverse_tokenizer_vocab_size(_ tokenizer: OpaquePointer?) -> Int32 {
  var result: Int32 = -1
  _ = reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    result = Int32(clamping: try borrow(tokenizer, as: TokenizerHandle.self, "tokenizer").tokenizer.vocabularySize)
  }
  return result
}

@_cdecl("xverse_tokenizer_special")
public func xverse_tokenizer_special(_ tokenizer: OpaquePointer?, _ which: Int32) -> Int32 {
  var result: Int32?
  _ = reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(tokenizer, as: TokenizerHandle.self, "tokenizer")
    switch Int(which) {
    case XVERSE_TOKEN_EOS: result = handle.specialTokens?.eos.first
    case XVERSE_TOKEN_BOS: result = handle.specialTokens?.bos
    case XVERSE_TOKEN_PAD: result = handle.specialTokens?.pad
    case XVERSE_TOKEN_UNK: result = handle.tokenizer.unknownToken
    default: throw .invalid("which is \(which), expected one of XVERSE_TOKEN_EOS, BOS, PAD, UNK")
    }
  }
  return result ?? -1
}

@_cdecl("xverse_tokenizer_token_bytes")
public func xverse_tokenizer_token_bytes(
  _ tokenizer: OpaquePointer?, _ token: Int32, _ bytes: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ len: UnsafeMutablePointer<Int>?, _ isSpecial: UnsafeMutablePointer<Int32>?
) -> xverse_status {
  reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let tokenizer = try borrow(tokenizer, as: TokenizerHandle.self, "tokenizer").tokenizer
    guard let found = tokenizer.bytes(of: token) else {
      throw .range("token is \(token), expected 0 to \(tokenizer.vocabularySize - 1)")
    }
    bytes?.pointee = found.baseAddress?.assumingMemoryBound(to: CChar.self) ?? cString("")
    len?.pointee = found.count
    isSpecial?.pointee = tokenizer.isSpecial(token) ? 1 : 0
  }
}

@_cdecl("xverse_detokenizer_create")
public func xverse_detokenizer_create(
  _ tokenizer: OpaquePointer?, _ flags: Int32, _ out: UnsafeMutablePointer<OpaquePointer?>?
) -> xverse_status {
  out?.pointee = nil
  return reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(tokenizer, as: TokenizerHandle.self, "tokenizer")
    let out = try required(out, "out")
    let detokenizer = DetokenizerHandle(
      Detokenizer(tokenizer: handle.tokenizer, skippingSpecials: try skipsSpecials(flags)), handle.tokenizer.allocator)
    out.pointee = OpaquePointer(Unmanaged.passRetained(detokenizer).toOpaque())
  }
}

@_cdecl("xverse_detokenizer_free")
public func xverse_detokenizer_free(_ detokenizer: OpaquePointer?) { releaseHandle(detokenizer) }

@_cdecl("xverse_detokenizer_push")
public func xverse_detokenizer_push(
  _ detokenizer: OpaquePointer?, _ token: Int32, _ text: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  detokenizing(detokenizer, text, len) { (handle) throws(XverseError) in
    try handle.detokenizer.push(token, into: &handle.text)
  }
}

@_cdecl("xverse_detokenizer_flush")
public func xverse_detokenizer_flush(
  _ detokenizer: OpaquePointer?, _ text: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ len: UnsafeMutablePointer<Int>?
) -> xverse_status {
  detokenizing(detokenizer, text, len) { (handle) throws(XverseError) in
    try handle.detokenizer.flush(into: &handle.text)
  }
}

private func detokenizing(
  _ detokenizer: OpaquePointer?, _ text: UnsafeMutablePointer<UnsafePointer<CChar>?>?,
  _ len: UnsafeMutablePointer<Int>?, _ body: (DetokenizerHandle) throws(XverseError) -> Void
) -> xverse_status {
  text?.pointee = nil
  return reportingErrors(allowedInCallback: true) { () throws(XverseError) in
    let handle = try borrow(detokenizer, as: DetokenizerHandle.self, "detokenizer")
    let text = try required(text, "text")
    try handle.changing("detokenizer") { () throws(XverseError) in
      let before = handle.detokenizer
      handle.text.removeAll()
      do throws(XverseError) {
        try body(handle)
        try handle.text.append(0)
      } catch {
        handle.detokenizer = before
        throw error
      }
      text.pointee = handle.text.elements.baseAddress.map {
        UnsafeRawPointer($0).assumingMemoryBound(to: CChar.self)
      }
      len?.pointee = handle.text.count - 1
    }
  }
}

private func skipsSpecials(_ flags: Int32) throws(XverseError) -> Bool {
  try checkFlags(flags, known: Int32(XVERSE_DECODE_SKIP_SPECIAL))
  return flags & Int32(XVERSE_DECODE_SKIP_SPECIAL) != 0
}

private func checkFlags(_ flags: Int32, known: Int32) throws(XverseError) {
  guard flags & ~known == 0 else { throw .invalid("flags is \(flags), expected a combination of bits \(known)") }
}
