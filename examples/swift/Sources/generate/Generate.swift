// Generate.swift -- streams the continuation of a text: swift run generate MODEL "Once upon a time"

import CXverse
import Glibc

/// A failed call and the library's sentence about it.
struct XverseError: Error, CustomStringConvertible {
  let description: String
}

func check(_ status: xverse_status) throws(XverseError) {
  if status < 0 { throw XverseError(description: String(cString: xverse_last_error())) }
}

/// A loaded model, freed with the last reference.
final class Model {
  fileprivate let handle: OpaquePointer?

  init(path: String) throws(XverseError) {
    var created: OpaquePointer?
    try check(xverse_model_open(path, nil, &created))
    handle = created
  }

  deinit { xverse_model_release(handle) }
}

/// One text that grows. Use it from one thread at a time.
final class Session {
  private let model: Model
  private let handle: OpaquePointer?

  init(_ model: Model) throws(XverseError) {
    self.model = model
    var created: OpaquePointer?
    try check(xverse_session_create(model.handle, nil, &created))
    handle = created
  }

  deinit { xverse_session_free(handle) }

  /// Continues `prompt` and passes the text on as it comes; `false` from `onText` ends it.
  func generate(_ prompt: String, options json: String, onText: @escaping (String) -> Bool) throws(XverseError) {
    var options: OpaquePointer?
    try check(xverse_options_create(Int32(XVERSE_OPTIONS_SAMPLING), &options))
    defer { xverse_options_free(options) }
    try check(xverse_options_set_json(options, json, json.utf8.count))

    var request: OpaquePointer?
    try check(xverse_request_create(model.handle, &request))
    defer { xverse_request_free(request) }
    try check(xverse_request_set_options(request, options))
    try check(xverse_request_add_text(request, prompt, prompt.utf8.count))

    // A C function carries no closure, so the closure travels in an object behind the user pointer.
    let listener = Listener(onText)
    var result: OpaquePointer?
    let status = xverse_session_generate(
      handle, request, nil,
      { user, event in
        guard let user, let text = event?.pointee.text else { return 0 }
        let listener = Unmanaged<Listener>.fromOpaque(user).takeUnretainedValue()
        return listener.onText(String(cString: text)) ? 0 : 1
      },
      Unmanaged.passUnretained(listener).toOpaque(), &result)
    xverse_result_free(result)
    try check(status)
  }

  private final class Listener {
    let onText: (String) -> Bool
    init(_ onText: @escaping (String) -> Bool) { self.onText = onText }
  }
}

@main
enum Generate {
  static func main() throws {
    guard CommandLine.arguments.count == 3 else {
      print("usage: generate MODEL PROMPT")
      return
    }
    let session = try Session(Model(path: CommandLine.arguments[1]))
    let prompt = CommandLine.arguments[2]
    print(prompt, terminator: "")
    try session.generate(prompt, options: #"{"max_new_tokens": 100, "temperature": 0}"#) { text in
      print(text, terminator: "")
      fflush(nil)
      return true
    }
    print()
  }
}
