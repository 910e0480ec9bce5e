dnl WEIR_CXX: a C++ compiler, for the emulation that tests CUDA kernels on the host.  Without one
dnl those tests are skipped; nothing else is C++.
AC_DEFUN([WEIR_CXX], [
  AC_LANG_PUSH([C++])
  weir_save_CXXFLAGS=$CXXFLAGS
  CXXFLAGS="-std=gnu++17"
  AC_MSG_CHECKING([whether $CXX compiles C++17])
  AC_COMPILE_IFELSE([AC_LANG_SOURCE([[template <int n> int f() { if constexpr (n > 0) return n; return 0; }
int g() { return f<1>(); }]])], [weir_have_cxx=yes], [weir_have_cxx=no])
  AC_MSG_RESULT([$weir_have_cxx])
  CXXFLAGS=$weir_save_CXXFLAGS
  AC_LANG_POP([C++])
  AS_IF([test "x$weir_have_cxx" = xyes],
    [AC_DEFINE([WEIR_BUILD_CUDA_EMU], [1], [Define to 1 if CUDA kernels can be tested on the host.])])
  AM_CONDITIONAL([BUILD_CUDA_EMU], [test "x$weir_have_cxx" = xyes])
])
