/* sphinx-copybutton knows no Korean; its words are read when the page is ready, so they can still be added. */
if (document.documentElement.lang === "ko" && typeof messages === "object") {
  messages.ko = {
    copy: "복사",
    copy_to_clipboard: "클립보드에 복사",
    copy_success: "복사했습니다",
    copy_failure: "복사하지 못했습니다",
  };
  locale = "ko";
}
