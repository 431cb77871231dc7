// chat.cpp - a conversation on the terminal: streaming, and Ctrl-C to stop an answer.
//
//     c++ -std=c++17 chat.cpp -o chat $(pkg-config --cflags --libs xverse)
//     ./chat MODEL
#include <csignal>
#include <iostream>
#include <string>
#include <xverse.hpp>

namespace {

xverse_cancel *answer_cancel;  // NOLINT(*-global-variables): a signal handler knows nothing else

// trigger() is the one call that a signal handler may make.
extern "C" void stop_answer(int /*signal*/) { xverse_cancel_trigger(answer_cancel); }

void chat(const char *path) {
  auto cancel = xverse::cancel::create();
  answer_cancel = cancel.get();
  struct sigaction action = {};
  action.sa_handler = stop_answer;
  action.sa_flags = SA_RESTART;
  sigaction(SIGINT, &action, nullptr);

  const auto model = xverse::model::open(path);
  auto session = model.create_session();
  auto conversation = model.create_request();

  // The request grows with the conversation. The session keeps what both have in common, so each turn costs only what is
  // new.
  std::string line;
  while (std::cout << "> " << std::flush && std::getline(std::cin, line)) {
    if (line.empty()) continue;
    std::string reply;
    cancel.reset();
    conversation.add_message("user", line);
    try {
      session.generate(
          conversation,
          [&](const xverse::event &event) {
            std::cout << event.text() << std::flush;
            reply += event.text();
          },
          &cancel);
    } catch (const xverse::cancelled &) {
      // What was said until then stays in the conversation.
    }
    conversation.add_message("assistant", reply);
    std::cout << '\n';
  }
  std::signal(SIGINT, SIG_DFL);
}

}  // namespace

int main(int argc, char **argv) {
  if (argc != 2) {
    std::cerr << "usage: " << argv[0] << " MODEL\n";
    return 2;
  }
  try {
    chat(argv[1]);
    return 0;
  } catch (const std::exception &error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
