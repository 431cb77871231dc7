// Library.swift -- calls of xverse.h as Swift: a failed status becomes an error that carries the library's own
// sentence.

import CXverse

enum Library {
  static var version: String { String(cString: xverse_version()) }

  /// Version, commit, compiler, kernels and libraries, as the library reports them.
  static func buildInfo() throws(ToolError) -> JSON { try JSON(parsing: String(cString: xverse_build_info())) }

  /// - Throws: `interrupted` for a cancelled call, `failure` with the library's message for every other failed one.
  static func check(_ status: xverse_status) throws(ToolError) {
    if status >= 0 { return }
    if Int(status) == Int(XVERSE_E_CANCELLED) { throw .interrupted }
    throw .failure(String(cString: xverse_last_error()), status: status)
  }

  /// Takes over a text that the library allocated.
  static func takeString(_ text: UnsafeMutablePointer<CChar>?, _ length: Int) -> String {
    defer { xverse_free(text) }
    let bytes = UnsafeRawBufferPointer(start: text, count: length)
    return String(decoding: bytes, as: UTF8.self)
  }

  /// Reads the headers of the checkpoint at `path`, not its weights.
  static func inspect(_ path: [CChar]) throws(ToolError) -> JSON {
    var text: UnsafeMutablePointer<CChar>?
    var length = 0
    try check(xverse_model_inspect(path, nil, &text, &length))
    return try JSON(parsing: takeString(text, length))
  }
}
