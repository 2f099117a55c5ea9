#include "base/path.hpp"

#include <doctest/doctest.h>

#include <filesystem>

using namespace inotifier;
using namespace std::string_literals;

TEST_CASE("join puts one slash between two sides that are there") {
  CHECK(join("a", "b") == "a/b");
  CHECK(join("a/", "b") == "a/b");
  CHECK(join("/", "b") == "/b");
  CHECK(join("", "b") == "b");
  CHECK(join("a", "") == "a");
  CHECK(join("", "") == "");
}

TEST_CASE("absolute takes out what means nothing and keeps ..") {
  const std::string here = std::filesystem::current_path().native();
  CHECK(absolute("/a/b") == "/a/b");
  CHECK(absolute("//a///b/") == "/a/b");
  CHECK(absolute("/./a/./b/.") == "/a/b");
  CHECK(absolute("/a/../b") == "/a/../b");
  CHECK(absolute("/") == "/");
  CHECK(absolute("/.hidden/...") == "/.hidden/...");
  CHECK(absolute("a") == join(here, "a"));
  CHECK(absolute(".") == here);
  CHECK(absolute("") == here);
}

TEST_CASE("is_utf8 accepts exactly what Unicode does") {
  for (const auto& good :
       {""s, "plain"s, "ä"s, "日本"s, "\xf0\x9f\x98\x80"s, "a\0b"s, "\xed\x9f\xbf"s,
        "\xee\x80\x80"s, "\xf4\x8f\xbf\xbf"s, "eight by.te.ä"s}) {
    CHECK_MESSAGE(is_utf8(good), good);
  }
  for (const auto& bad : {"\xff"s, "\x80"s, "\xc0\x80"s, "\xc1\xbf"s, "\xc3"s, "\xe0\x80\x80"s,
                          "\xed\xa0\x80"s, "\xf0\x80\x80\x80"s, "\xf4\x90\x80\x80"s, "\xf5"s,
                          "\xe2\x82"s, "12345678\xc3("s, "long and plain, then \xfe"s}) {
    CHECK_FALSE(is_utf8(bad));
  }
}

TEST_CASE("to_utf8 replaces as Python does") {
  // Each was checked against bytes.decode("utf-8", "replace").
  const std::string r = "\xef\xbf\xbd";
  CHECK(to_utf8("abc ä") == "abc ä");
  CHECK(to_utf8("\xff") == r);
  CHECK(to_utf8("\xff\xfe"s) == r + r);
  CHECK(to_utf8("\xe2\x82"s) == r);
  CHECK(to_utf8("\xe2\x82z"s) == r + "z");
  CHECK(to_utf8("\xe2(\xa1"s) == r + "(" + r);
  CHECK(to_utf8("\xc0\x80"s) == r + r);
  CHECK(to_utf8("\xed\xa0\x80"s) == r + r + r);
  CHECK(to_utf8("\xf0\x9f\x98"s) == r);
  CHECK(to_utf8("\xf0\x80\x80\x80"s) == r + r + r + r);
  CHECK(to_utf8("\xf4\x90\x80\x80"s) == r + r + r + r);
  CHECK(to_utf8("caf\xe9.txt"s) == "caf" + r + ".txt");
  CHECK(to_utf8("a\0b"s) == "a\0b"s);
}

TEST_CASE("utf8_length says how long the first character is") {
  CHECK(utf8_length("") == 0);
  CHECK(utf8_length("a") == 1);
  CHECK(utf8_length("äb") == 2);
  CHECK(utf8_length("€") == 3);
  CHECK(utf8_length("\xf0\x9f\x98\x80") == 4);
  CHECK(utf8_length("\xffz") == 0);
  CHECK(utf8_length("\xc3") == 0);
}

TEST_CASE("percent_encode makes a URI reference") {
  struct Example {
    std::string path, encoded;
  };
  for (const auto& [path, encoded] : {
           Example{"a/b.dcm", "a/b.dcm"},
           Example{"a b", "a%20b"},
           Example{"50%", "50%25"},
           Example{"a?b#c", "a%3Fb%23c"},
           Example{"-._~!$&'()*+,;=@", "-._~!$&'()*+,;=@"},
           Example{"[x]{y}|\\^`\"<>", "%5Bx%5D%7By%7D%7C%5C%5E%60%22%3C%3E"},
           Example{"ä", "%C3%A4"},
           Example{"caf\xe9", "caf%E9"},
           Example{"new\nline\0"s, "new%0Aline%00"},
           Example{"c:d", "./c:d"},
           Example{"c:d/e", "./c:d/e"},
           Example{"a/c:d", "a/c:d"},
           Example{"", ""},
       }) {
    CHECK(percent_encode(path) == encoded);
    CHECK(is_plain_in_uri(path) == (path == encoded));
  }
}
